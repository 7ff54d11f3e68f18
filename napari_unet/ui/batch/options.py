"""The Batch view's options: model, channel, where the labels go, and, folded away, what few need."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from qtpy.QtCore import Signal
from qtpy.QtWidgets import (
    QCheckBox,
    QDoubleSpinBox,
    QFileDialog,
    QFormLayout,
    QGroupBox,
    QHBoxLayout,
    QLineEdit,
    QPushButton,
    QSpinBox,
    QVBoxLayout,
    QWidget,
)

from napari_unet.core.base.errors import InputError
from napari_unet.core.base.params import VIEWS, LookParams
from napari_unet.jobs.batch import Order
from napari_unet.models.registry import AUTO, ModelEntry
from napari_unet.session.batch import parse_channels
from napari_unet.ui.common.combo import make_combo, show_models

_FROM_FILES = "as the files say"
_LARGEST_PIXEL = 1000.0  # um


class OptionsForm(QGroupBox):
    """How the images are segmented, and where the labels go; `edited()` follows each change of the folder."""

    edited = Signal()

    def __init__(self) -> None:
        super().__init__("2  Segment")
        self.models: Sequence[ModelEntry] = ()
        self.model = make_combo("batch_model", "What kind of cells the network looks for")
        self.channel = _line(
            "batch_channel", "the first", "The channel that shows the cells; 1, 3: their mean"
        )
        self.output = _line("batch_output", "a folder", "The folder that the labels are written to")
        self.choose = QPushButton("Choose…", objectName="batch_choose_output")
        self.choose.setToolTip("Choose the folder that the labels are written to")
        self.pixel_size = QDoubleSpinBox(objectName="batch_pixel_size")
        self.pixel_size.setRange(0, _LARGEST_PIXEL)
        self.pixel_size.setDecimals(4)
        self.pixel_size.setSuffix(" µm")
        self.pixel_size.setSpecialValueText(_FROM_FILES)
        self.pixel_size.setToolTip("Size of a pixel, if the files do not say it")
        self.views = QSpinBox(objectName="batch_views")
        self.views.setRange(1, VIEWS)
        self.views.setSpecialValueText("once")
        self.views.setSuffix(" times")
        self.views.setToolTip(LookParams.model_fields["views"].description or "")
        self.axes = _line("batch_axes", _FROM_FILES, "Letters of the images' axes, as in TZCYX")
        self.workers = QSpinBox(objectName="batch_workers")
        self.workers.setRange(0, os.cpu_count() or 1)
        self.workers.setSpecialValueText("automatic")
        self.workers.setToolTip(
            "How many images are segmented at once; each process needs about 2 GB of memory"
        )
        self.use_cluster = QCheckBox("Use a Dask cluster", objectName="batch_use_cluster")
        self.use_cluster.setToolTip(
            "Let the workers of a Dask scheduler do it; they must see the same folders"
        )
        self.scheduler = _line("batch_scheduler", "tcp://host:8786", "The address of the scheduler")
        self.more = QPushButton(objectName="batch_more")
        self._suggested = ""
        self._lay_out()
        self.choose.clicked.connect(self._choose_output)
        self.output.textChanged.connect(lambda _: self.edited.emit())
        self.use_cluster.toggled.connect(self._show_cluster)
        self.more.clicked.connect(lambda: self._show_more(self._inner.isHidden()))
        self._show_cluster(False)
        self._show_more(False)

    def read_order(self) -> Order:
        """Return what the batch is to do; raises InputError for what cannot be meant."""
        output, model = self.output.text().strip(), self.model.currentData()
        if model is None:
            raise InputError("There is no model to segment with: install the package again, or import one.")
        if not output:
            raise InputError("The labels have no place to go yet: choose a folder for them.")
        path = Path(output).expanduser()
        if not path.is_absolute():
            raise InputError(f"'{output}' is not a whole path: press Choose and pick the folder.")
        scheduler = self.scheduler.text().strip() if self.use_cluster.isChecked() else None
        if scheduler == "":
            raise InputError("The cluster has no address yet: give that of its scheduler, tcp://host:8786.")
        return Order(
            output=path,
            model=model,
            axes=self.axes.text().strip().upper() or None,
            channel=parse_channels(self.channel.text()),
            pixel_size=self.pixel_size.value() or None,
            views=self.views.value(),
            workers=None if scheduler else self.workers.value() or None,
            scheduler=scheduler,
        )

    def show_models(self, entries: Sequence[ModelEntry], chosen: str | Path) -> None:
        """Offer these models; `chosen` is the one until the user has chosen another."""
        before = self.model.currentData() if self.models else None
        self.models = entries
        there = {entry.path for entry in entries} | {AUTO}
        show_models(self.model, entries, before if before in there else chosen)

    def suggest_output(self, folder: Path | None) -> None:
        """Fill in a folder for the labels, unless the user has chosen one."""
        if self.output.text() in ("", self._suggested):
            self._suggested = str(folder or "")
            self.output.setText(self._suggested)

    def _lay_out(self) -> None:
        place = QHBoxLayout()
        place.addWidget(self.output, 1)
        place.addWidget(self.choose)
        form = _form()
        form.addRow("Model", self.model)
        form.addRow("Channel", self.channel)
        form.addRow("Labels to", place)
        self._inner = QWidget()
        self._more = _form(self._inner)
        self._more.setContentsMargins(0, 0, 0, 0)
        self._more.addRow("Pixel size", self.pixel_size)
        self._more.addRow("Axes", self.axes)
        self._more.addRow("Look", self.views)
        self._more.addRow("Processes", self.workers)
        self._more.addRow(self.use_cluster)
        self._more.addRow("Scheduler", self.scheduler)
        layout = QVBoxLayout(self)
        layout.addLayout(form)
        layout.addWidget(self.more)
        layout.addWidget(self._inner)

    def _choose_output(self) -> None:
        name = QFileDialog.getExistingDirectory(self, "Choose a folder for the labels", self.output.text())
        if name:
            self.output.setText(str(Path(name)))

    def _show_more(self, shown: bool) -> None:
        self.more.setText(f"{'▾' if shown else '▸'}  More options")
        self._inner.setVisible(shown)

    def _show_cluster(self, used: bool) -> None:
        for field, shown in ((self.workers, not used), (self.scheduler, used)):
            field.setVisible(shown)
            self._more.labelForField(field).setVisible(shown)


def _form(parent: QWidget | None = None) -> QFormLayout:
    form = QFormLayout(parent)
    form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
    return form


def _line(name: str, placeholder: str, tip: str) -> QLineEdit:
    line = QLineEdit(objectName=name)
    line.setPlaceholderText(placeholder)
    line.setToolTip(tip)
    return line
