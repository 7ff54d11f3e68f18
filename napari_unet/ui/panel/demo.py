"""The whole loop in a real window, by mouse and key events: `python -m napari_unet.ui.panel.demo FOLDER`.

It opens the sample of cells, a kind of image that the bundled model was not made for, segments it, corrects
the wrong cells of one part of it by brush, marks that part as reviewed, fine-tunes and keeps the better
model. Screenshots, labels and scores are left in FOLDER.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from napari.layers import Labels
from pydantic import TypeAdapter
from qtpy.QtCore import QPoint, Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication, QWidget
from scipy import ndimage
from skimage import measure

from napari_unet.core.base import Effort
from napari_unet.core.cells import Scores, evaluate
from napari_unet.io import read_labels, sample_path, write_labels
from napari_unet.jobs import FineTuned
from napari_unet.models import BUNDLED, DEFAULT_MODEL, find_model
from napari_unet.store import Project
from napari_unet.ui.canvas import visible_box
from napari_unet.ui.panel.panel import UNetPanel
from napari_unet.worker import Worker

SAMPLE = "cells"
STEPS = 120
GOOD = 0.8
BRUSH = 3
_SQUARE = np.ones((BRUSH, BRUSH), bool)
CRUMB = 12  # px
PATIENCE = 900.0
MOVE_INTERVAL = 12  # ms; vispy drops moves that follow each other in less than 10


class Hands:
    """A user's mouse and keyboard over the canvas and the buttons of one viewer."""

    def __init__(self, viewer: Any) -> None:
        self.viewer = viewer
        widgets = QApplication.allWidgets()
        self.canvas = next(w for w in widgets if type(w).__name__ == "CanvasBackendDesktop" and w.isVisible())

    def click(self, widget: QWidget) -> None:
        """Click on a widget with the left button."""
        QTest.mouseClick(widget, Qt.MouseButton.LeftButton)

    def press(self, key: str | Qt.Key) -> None:
        """Press a key while the canvas has the focus."""
        self.canvas.setFocus()
        QTest.keyClick(self.canvas, key)

    def take_up(self, key: str | Qt.Key) -> None:
        """Press a tool's key while the pointer is over no cell."""
        QTest.mouseMove(self.canvas.window(), QPoint(2, 2))
        QApplication.processEvents()
        self.press(key)

    def drag(self, layer: Labels, points: Sequence[Sequence[float]]) -> None:
        """Draw a stroke through (row, column) points of a layer's data with the left button down."""
        places = [self.locate(layer, point) for point in points]
        QTest.mouseMove(self.canvas, places[0])
        QTest.mousePress(self.canvas, Qt.MouseButton.LeftButton, pos=places[0])
        for place in places[1:]:
            QTest.qWait(MOVE_INTERVAL)
            QTest.mouseMove(self.canvas, place)
        QTest.mouseRelease(self.canvas, Qt.MouseButton.LeftButton, pos=places[-1])
        QApplication.processEvents()

    def point(self, layer: Labels, point: Sequence[float]) -> None:
        """Move the pointer over a (row, column) of a layer's data."""
        QTest.qWait(MOVE_INTERVAL)
        QTest.mouseMove(self.canvas, self.locate(layer, point))
        QApplication.processEvents()

    def locate(self, layer: Labels, point: Sequence[float]) -> QPoint:
        """Return where on the canvas a (row, column) of a layer's shown plane is."""
        data = np.zeros(layer.ndim)
        data[-2:] = point
        world = np.asarray(layer.data_to_world(data))[-2:]
        centre = np.asarray(self.viewer.scene.camera.center)[-2:]
        row, column = (world - centre) * self.viewer.scene.camera.zoom
        return QPoint(round(self.canvas.width() / 2 + column), round(self.canvas.height() / 2 + row))

    def look_at(self, layer: Labels, box: tuple[slice, slice]) -> None:
        """Move the camera so that the canvas is filled by a box of a layer."""
        corners = np.zeros((2, layer.ndim))
        corners[:, -2:] = [[s.start for s in box], [s.stop for s in box]]
        first, last = (np.asarray(layer.data_to_world(corner))[-2:] for corner in corners)
        height, width = last - first
        self.viewer.scene.camera.center = (first + last) / 2
        self.viewer.scene.camera.zoom = max(self.canvas.width() / width, self.canvas.height() / height)
        QTest.qWait(200)

    def outline(self, layer: Labels, cell: np.ndarray, seen: np.ndarray, label: int) -> None:
        """Make `cell` (Y, X), as far as it is `seen`, one cell called `label`.

        The pieces that it is in are filled with the label, then what is missing is painted.
        """
        layer.selected_label = label
        self.press(Qt.Key.Key_4)
        for piece in _pieces_of(cell, layer.data, seen):
            self.drag(layer, [piece])
        layer.brush_size = BRUSH
        self.press(Qt.Key.Key_2)
        missing = ndimage.binary_dilation(cell & seen & (layer.data != label), iterations=2)
        inside = ndimage.binary_erosion(cell | ~seen, _SQUARE, border_value=1)
        self._fill(layer, cell & inside & missing & seen)

    def erase(self, layer: Labels, mask: np.ndarray) -> None:
        """Rub out what lies in `mask` (Y, X), but for lines a pixel wide."""
        layer.brush_size = BRUSH
        self.press(Qt.Key.Key_1)
        self._fill(layer, ndimage.binary_opening(mask & (layer.data > 0), _SQUARE))

    def sweep(self, layer: Labels, seen: np.ndarray) -> None:
        """Clear the crumbs that other strokes have left where it is `seen` (Y, X), by the fill tool."""
        layer.selected_label = 0
        self.press(Qt.Key.Key_4)
        for crumb in measure.regionprops(measure.label(layer.data, connectivity=1)):
            if crumb.area < CRUMB and seen[tuple(crumb.coords.T)].all():
                self.drag(layer, [crumb.coords[0]])

    def _fill(self, layer: Labels, mask: np.ndarray) -> None:
        for row in range(0, mask.shape[0], 2):
            runs, count = ndimage.label(mask[row])
            for (run,) in ndimage.find_objects(runs, max_label=count):
                self.drag(layer, [(row, run.start), (row, run.stop - 1)])


def count_reviewed(panel: UNetPanel) -> int:
    """Return how many pixels the panel knows to be reviewed."""
    image = panel.canvas.image
    return image.counts.reviewed_pixels if image is not None and image.counts is not None else 0


def wait_for(done: Callable[[], bool], what: str) -> None:
    """Let the window work until something is so; TimeoutError when that takes too long."""
    end = time.monotonic() + PATIENCE
    while not done():
        if time.monotonic() > end:
            raise TimeoutError(f"waited in vain for {what}")
        QTest.qWait(50)


def find_region(truth: np.ndarray) -> tuple[slice, slice]:
    """Return the part of a label image (Y, X), half of each side, that holds most cells."""
    height, width = (size // 2 for size in truth.shape)
    parts = [
        (slice(row, row + height), slice(column, column + width))
        for row in range(0, truth.shape[0] - height + 1, height // 3)
        for column in range(0, truth.shape[1] - width + 1, width // 3)
    ]
    return max(parts, key=lambda part: len(np.unique(truth[part])))


def wrong_cells(truth: np.ndarray, labels: np.ndarray, seen: np.ndarray) -> list[np.ndarray]:
    """Return the masks of the true cells that the labels get wrong as far as they are `seen`."""
    found = []
    for cell in np.unique(truth[seen & (truth > 0)]):
        whole = truth == cell
        mask = whole & seen
        ids, counts = np.unique(labels[mask], return_counts=True)
        ious = [
            n / np.count_nonzero(mask | ((labels == i) & seen))
            for i, n in zip(ids, counts, strict=True)
            if i > 0
        ]
        if max(ious, default=0.0) < GOOD:
            found.append(whole)
    return found


def run_demo(viewer: Any, panel: UNetPanel, folder: Path, effort: Effort) -> dict[str, Any]:
    """Do it all in an open window; return the scores that are also written to `folder`."""
    truth = read_labels(sample_path(f"{SAMPLE}_labels"))
    hands, session = Hands(viewer), panel.session

    def shoot(name: str) -> None:
        QTest.qWait(300)
        panel.window().grab().save(str(folder / f"{name}.png"))

    def settled() -> bool:
        if session.is_error:
            raise RuntimeError(session.notice)
        image = panel.canvas.image
        return session.run is None and image is not None and image.counts is not None

    def labels() -> Labels:
        layer = panel.canvas.watch.find(panel.canvas.image.key if panel.canvas.image else "")
        assert layer is not None
        return layer

    wait_for(lambda: panel.canvas.image is not None, "the sample")
    shoot("1-opened")
    hands.click(panel.step1.segment)
    wait_for(settled, "the cells")
    shoot("2-segmented")
    before, started = labels().data.copy(), time.monotonic()
    region = find_region(truth)
    hands.look_at(labels(), region)
    seen = np.zeros(truth.shape, bool)
    box = visible_box(viewer, labels(), panel.canvas.image.grid) if panel.canvas.image else None
    seen[tuple(slice(*side) for side in box or ())] = True
    for mask in wrong_cells(truth, before, seen):
        hands.outline(labels(), mask, seen, int(labels().data.max()) + 1)
    hands.erase(labels(), seen & (truth == 0))
    hands.sweep(labels(), seen)
    shoot("3-corrected")
    hands.click(panel.step2.mark)
    wait_for(lambda: count_reviewed(panel) >= int(seen.sum()), "the corrections")
    corrected, counts = labels().data.copy(), panel.step2.counts.text()
    seconds_of_correcting = time.monotonic() - started
    shoot("4-reviewed")
    panel.step3.offer(effort)
    hands.click(panel.step3.fine_tune)
    wait_for(lambda: len(panel.step3.plot.points) > 5 or session.run is None, "the learning")
    shoot("5-learning")
    wait_for(settled, "the new model")
    shoot("6-proven")
    trial = session.trial
    after = labels().data.copy()
    proven = trial is not None and trial.verdict.is_proven
    hands.click(panel.step3.keep if proven else panel.step3.roll_back)
    wait_for(settled, "the decision")
    viewer.reset_view()
    shoot("7-decided")
    scores = {
        "corrections": counts,
        "seconds_of_correcting": round(seconds_of_correcting, 1),
        "kept": proven,
        "held_out": TypeAdapter(FineTuned).dump_python(trial.result, mode="json") if trial else None,
        "whole_image": {
            name: summarise(evaluate(array, truth))
            for name, array in {"predicted": before, "corrected": corrected, "after": after}.items()
        },
        "outside_the_region": {
            name: summarise(evaluate(_without(array, region), _without(truth, region)))
            for name, array in {"predicted": before, "after": after}.items()
        },
    }
    pixel_size = panel.canvas.image.pixel_size if panel.canvas.image else None
    for name, array in (("before", before), ("after", after)):
        write_labels(folder / f"labels-{name}.tif", array, pixel_size=pixel_size)
    (folder / "scores.json").write_text(json.dumps(scores, indent=1))
    return scores


def summarise(scores: Scores) -> dict[str, float]:
    """Return the figures worth printing."""
    names = ("ap50", "mean_ap", "mean_iou", "missed", "false", "split", "merged")
    return {name: round(float(getattr(scores, name)), 3) for name in names}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the demonstration; 0 if the loop came to its end."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="where screenshots, labels and scores go")
    parser.add_argument("--steps", type=int, default=STEPS, help="of learning, however long they take")
    parser.add_argument("--model", default=DEFAULT_MODEL, help="the model to begin with, or a file of one")
    options = parser.parse_args(arguments)
    import napari

    folder: Path = options.folder.absolute()
    folder.mkdir(parents=True, exist_ok=True)
    shutil.rmtree(folder / "project", ignore_errors=True)
    project = Project.open(folder / "project")
    viewer = napari.Viewer(show=False)
    panel = UNetPanel(viewer, project=project, worker=Worker(log=folder / "worker.log"))
    model = find_model(options.model)
    if model.parent != BUNDLED:
        model = Path(shutil.copy(model, project.models_folder / model.name))
        panel.session.refresh_models()
    panel.session.use_model(model)  # not the one that fits best, to which nothing can be taught here
    viewer.window.add_dock_widget(panel, name="U-Net", area="right")
    viewer.window.resize(1400, 900)
    viewer.window.show()
    viewer.open_sample("napari-unet", SAMPLE)
    try:
        scores = run_demo(viewer, panel, folder, Effort("Demo", 60.0, options.steps))
    finally:
        viewer.close()
        QTest.qWait(100)
    print(
        json.dumps(
            {key: scores[key] for key in ("corrections", "kept", "whole_image", "outside_the_region")},
            indent=1,
        )
    )
    print(f"Screenshots, labels and scores are in {folder}")
    return 0


def _without(labels: np.ndarray, region: tuple[slice, slice]) -> np.ndarray:
    outside = labels.copy()
    outside[region] = 0
    return outside


def _pieces_of(cell: np.ndarray, labels: np.ndarray, seen: np.ndarray) -> list[tuple[int, int]]:
    """Return a point (row, column) of each labelled piece that lies mostly in a cell, where it is seen."""
    points = []
    for label in np.unique(labels[cell & seen & (labels > 0)]):
        piece = labels == label
        if 2 * np.count_nonzero(piece & cell) > np.count_nonzero(piece):
            depth = ndimage.distance_transform_edt(piece & cell & seen)
            row, column = np.unravel_index(int(depth.argmax()), depth.shape)
            points.append((int(row), int(column)))
    return points


if __name__ == "__main__":
    sys.exit(main())
