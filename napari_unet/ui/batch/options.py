"""The Batch view's options: model, channel, where the labels go, and, folded away, what few need."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from qtpy.QtCore import Signal
from qtpy.QtWidgets import (
    QFileDialog,
    QFormLayout,
    QGroupBox,
    QHBoxLayout,
    QLineEdit,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from napari_unet.core.base import AUTO, BatchParams, InputError, SegmentParams
from napari_unet.jobs import Order
from napari_unet.models import ModelEntry
from napari_unet.ui.common import Form, make_combo, show_models

_PREFIX = "batch_"


class OptionsForm(QGroupBox):
    """How the images are segmented, and where the labels go; `edited()` follows each change of the folder."""

    edited = Signal()

    def __init__(self) -> None:
        super().__init__("2  Segment")
        self.models: Sequence[ModelEntry] = ()
        self.model = make_combo("batch_model", "What kind of cells the network looks for")
        self.output = _line("batch_output", "a folder", "The folder that the labels are written to")
        self.choose = QPushButton("Choose…", objectName="batch_choose_output")
        self.choose.setToolTip("Choose the folder that the labels are written to")
        self.channel = Form(SegmentParams, ["channel"], prefix=_PREFIX)
        self.settings = Form(SegmentParams, ["pixel_size", "axes", "views"], prefix=_PREFIX)
        self.where = Form(BatchParams, prefix=_PREFIX)
        self.rarely = QWidget()
        self.more = QPushButton(objectName="batch_more")
        self._suggested = ""
        self._lay_out()
        self.choose.clicked.connect(self._choose_output)
        self.output.textChanged.connect(lambda _: self.edited.emit())
        self.more.clicked.connect(lambda: self._show_more(self.rarely.isHidden()))
        self._show_more(False)

    def read_order(self) -> Order:
        """Return what the batch is to do; raises InputError for what cannot be meant."""
        output, model = self.output.text().strip(), self.model.currentData()
        if model is None:
            raise InputError("There is no model to segment with: install the package again, or import one.")
        if not output:
            raise InputError("Choose an output folder for the labels.")
        path = Path(output).expanduser()
        if not path.is_absolute():
            raise InputError(f"'{output}' is not a whole path: press Choose and pick the folder.")
        chosen = {"model": str(model), "channel": self.channel.read().channel}
        params, where = self.settings.read().model_copy(update=chosen), self.where.read()
        if where.scheduler:
            where = BatchParams(scheduler=where.scheduler)
        return Order(path, params, where)

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
        form = QFormLayout()
        form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        form.addRow("Model", self.model)
        form.addRow("Labels to", place)
        rarely = QVBoxLayout(self.rarely)
        rarely.setContentsMargins(0, 0, 0, 0)
        rarely.addWidget(self.settings.native)
        rarely.addWidget(self.where.native)
        layout = QVBoxLayout(self)
        layout.addLayout(form)
        layout.addWidget(self.channel.native)
        layout.addWidget(self.more)
        layout.addWidget(self.rarely)

    def _choose_output(self) -> None:
        name = QFileDialog.getExistingDirectory(self, "Choose a folder for the labels", self.output.text())
        if name:
            self.output.setText(str(Path(name)))

    def _show_more(self, shown: bool) -> None:
        self.more.setText(f"{'▾' if shown else '▸'}  More options")
        self.rarely.setVisible(shown)


def _line(name: str, placeholder: str, tip: str) -> QLineEdit:
    line = QLineEdit(objectName=name)
    line.setPlaceholderText(placeholder)
    line.setToolTip(tip)
    return line
