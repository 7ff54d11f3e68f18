"""Open a real window, segment, paint one stroke, say so, and wait to be killed."""

import sys
from pathlib import Path

import napari
import numpy as np
from qtpy.QtCore import Qt
from qtpy.QtTest import QTest

from napari_unet.store.project import Project
from napari_unet.ui.panel.demo import Hands, wait_for
from napari_unet.ui.panel.panel import UNetPanel
from napari_unet.worker.worker import Worker


def main(folder: str, image: str) -> None:
    worker = Worker("window_jobs", paths=[Path(__file__).parent])
    viewer = napari.Viewer(show=False)
    panel = UNetPanel(viewer, project=Project.open(Path(folder)), worker=worker)
    viewer.window.add_dock_widget(panel, area="right")
    viewer.window.resize(1300, 900)
    viewer.window.show()
    viewer.add_image(np.load(image), name="plate")
    row = next(row for row in range(panel.step1.model.count()) if "nuclei" in panel.step1.model.itemText(row))
    panel.session.use_model(panel.step1.model.itemData(row))
    QTest.qWait(300)
    viewer.reset_view()
    hands = Hands(viewer)
    wait_for(lambda: panel.canvas.image is not None, "the image")
    hands.click(panel.step1.segment)
    wait_for(lambda: panel.session.run is None and panel.canvas.image.counts is not None, "the labels")
    labels = panel.canvas.watch.find(panel.canvas.image.key)
    labels.brush_size, labels.selected_label = 8, 77
    hands.press(Qt.Key.Key_2)
    hands.drag(labels, [(10, 60), (10, 100)])
    assert labels.data[10, 80] == 77
    print("painted", flush=True)
    QTest.qWait(600_000)


main(*sys.argv[1:])
