"""Step 4: what was found - how many, how large, as a table, and as a file for another program."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from napari.layers import Image
from qtpy.QtWidgets import (
    QFileDialog,
    QGroupBox,
    QHBoxLayout,
    QLabel,
    QMessageBox,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from napari_unet.core.image import PlaneGrid
from napari_unet.io import MICROMETRES, stem_of
from napari_unet.io.export import ENDINGS, FORMATS, complete_name
from napari_unet.session import OpenImage, export_image
from napari_unet.ui.canvas import Canvas
from napari_unet.ui.common import make_combo, show_choices
from napari_unet.ui.panel.histogram import Histogram

_TITLES = {
    "area": "Area (px)",
    "area_um2": "Area (µm²)",
    "diameter": "Diameter (px)",
    "diameter_um": "Diameter (µm)",
    "mean_intensity": "Mean intensity",
}
_LENGTHS = ("area_um2", "area")
_WORDS = {"T": "frame", "Z": "plane"}
_TABLE = ("napari", "Features table widget")


class ResultsStep(QGroupBox):
    """The controls of step 4."""

    def __init__(self, canvas: Canvas) -> None:
        super().__init__("4  Results")
        self._canvas, self._session = canvas, canvas.session
        self._image: OpenImage | None = None
        self.count = QLabel(objectName="result_count")
        self.count.setWordWrap(True)
        self.feature = make_combo("result_feature", "The measurement that the histogram shows")
        self.histogram = Histogram()
        self.table = QPushButton("Table", objectName="result_table")
        self.table.setToolTip("Show what each cell measures; select a row to see its cell")
        self.export = QPushButton("Export…", objectName="export")
        self.export.setToolTip(f"Save the cells as {', '.join(FORMATS.values())}")
        self.feature.currentIndexChanged.connect(self._show_feature)
        self.table.clicked.connect(self.open_table)
        self.export.clicked.connect(self.ask_and_export)
        row = QHBoxLayout()
        row.addWidget(self.table)
        row.addWidget(self.export, 1)
        layout = QVBoxLayout(self)
        for widget in (self.count, self.feature, self.histogram):
            layout.addWidget(widget)
        layout.addLayout(row)

    def refresh(self) -> None:
        """Show the cells of the image."""
        image = self._canvas.image
        self._image = image if image is not None and image.review is not None else None
        features = self._image.features if self._image is not None else {}
        self.count.setText(describe_results(self._image))
        named = [name for name in _TITLES if name in features and len(features[name])]
        show_choices(self.feature, [(_TITLES[name], name) for name in named], self.feature.currentData())
        for widget in (self.feature, self.histogram):
            widget.setVisible(bool(named))
        for button in (self.table, self.export):
            button.setEnabled(self._image is not None)
        self._show_feature()

    def open_table(self) -> None:
        """Open napari's table of the features of the labels, beside the panel."""
        self._canvas.viewer.window.add_plugin_dock_widget(*_TABLE)

    def ask_and_export(self) -> None:
        """Ask for a name and a format and write the cells."""
        image = self._image
        if image is None:
            return
        filters = {f"{title} (*{ENDINGS[form]})": form for form, title in FORMATS.items()}
        start = _suggest_name(image)
        name, picked = QFileDialog.getSaveFileName(self, "Export cells", str(start), ";;".join(filters))
        if not name:
            return
        path = complete_name(Path(name), filters.get(picked, next(iter(FORMATS))))
        if path != Path(name) and path.exists() and not _may_replace(self, path):
            return
        self._session.images.flushing.emit()
        layer = self._canvas.layer
        step = measure_z_step(layer, image.grid) if layer is not None else None
        export_image(self._session.runner, image, path, step)

    def _show_feature(self) -> None:
        name = self.feature.currentData()
        features = self._image.features if self._image is not None else {}
        values = features.get(name) if name else None
        self.histogram.show_values(np.asarray(values if values is not None else (), np.float64))


def describe_results(image: OpenImage | None) -> str:
    """Return how many cells an image has and how large they are, in one line."""
    if image is None or image.counts is None:
        return "No cells yet."
    cells = image.counts.cells
    sizes = dict(zip(image.grid.axes, image.grid.shape, strict=True))
    stack = [f"{sizes[a]} {word}s" for a, word in _WORDS.items() if sizes.get(a, 1) > 1]
    words = f"{cells} cell{'s' * (cells != 1)}" + (f" in {' of '.join(stack)}" if stack else "")
    name = next((name for name in _LENGTHS if len(image.features.get(name, ()))), None)
    if not cells or name is None or stack:
        return f"{words}."
    unit = _TITLES[name].partition("(")[2].rstrip(")")
    return f"{words}, median area {np.median(image.features[name]):.4g} {unit}."


def measure_z_step(layer: Image, grid: PlaneGrid) -> float | None:
    """Return the distance of an image's planes in µm, None where it has none or no unit of length."""
    if "Z" not in grid.axes:
        return None
    at = grid.axes.replace("S", "").index("Z")
    unit = str(layer.units[at]).lower()
    return float(layer.scale[at]) * MICROMETRES[unit] if unit in MICROMETRES else None


def _suggest_name(image: OpenImage) -> Path:
    source = Path(image.source.path) if image.source.path else Path(image.name)
    folder = source.parent if image.source.path else Path.home()
    return folder / f"{stem_of(source)} cells"


def _may_replace(parent: QWidget, path: Path) -> bool:
    answer = QMessageBox.question(parent, "Export cells", f"{path.name} exists already. Replace it?")
    return bool(answer == QMessageBox.StandardButton.Yes)
