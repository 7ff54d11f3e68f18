"""Step 1: which image, which model, which part - and the button."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from napari.layers import Image
from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import (
    QCheckBox,
    QFormLayout,
    QGroupBox,
    QHBoxLayout,
    QListWidget,
    QListWidgetItem,
    QPushButton,
    QVBoxLayout,
    QWidget,
)
from superqt.utils import signals_blocked

from napari_unet.core.base import VIEWS, LookParams
from napari_unet.core.image import Channels
from napari_unet.models import ModelEntry
from napari_unet.session import OpenImage
from napari_unet.ui.common import Choice, make_combo, show_choices, show_models
from napari_unet.ui.panel.axes import AxesEditor

SEVERAL = "several"
PLANE, STACK, VIEW, ALL = "plane", "stack", "view", "all"
"""What of an image is segmented: a plane, all of it, what is seen; `ALL` is from the disk to the disk."""
_MOST_ROWS = 4


class SegmentStep(QGroupBox):
    """The controls of step 1; they show what they are told and hold nothing.

    `channel_chosen()` is emitted when the user chooses other channels, `scope_chosen()` when he chooses what
    to segment.
    """

    channel_chosen = Signal()
    scope_chosen = Signal()

    def __init__(self) -> None:
        super().__init__("1  Segment")
        self.image = make_combo("image", "The image to segment: it follows the layer you select")
        self.open = QPushButton("Open…", objectName="open")
        self.open.setToolTip("Open an image file")
        self.model = make_combo("model", "What kind of cells the network looks for")
        self.axes = AxesEditor()
        self.channel = make_combo("channel", "The channel that shows the cells")
        self.channels = QListWidget(objectName="channels")
        self.channels.setToolTip("The mean of these channels is looked at, each scaled to its own brightness")
        self.channel.currentIndexChanged.connect(self._choose_channel)
        self.channels.itemChanged.connect(self._tick_channel)
        self.scope = make_combo("scope", "What you see: the cells that reach into view; all others stay")
        self.scope.activated.connect(lambda _: self.scope_chosen.emit())
        self.careful = QCheckBox(f"{VIEWS} times: slower, a little better", objectName="careful")
        self.careful.setToolTip(LookParams.model_fields["views"].description or "")
        self.segment = QPushButton("Segment", objectName="segment")
        self.segment.setToolTip("Find the cells (Shift-S)")
        first = QHBoxLayout()
        first.addWidget(self.image, 1)
        first.addWidget(self.open)
        self._form = QFormLayout()
        self._form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        self._form.addRow("Image", first)
        self._form.addRow("Axes", self.axes)
        self._form.addRow("Model", self.model)
        self._form.addRow("Channel", self.channel)
        self._form.addRow("", self.channels)
        self._form.addRow("Part", self.scope)
        self._form.addRow("Look", self.careful)
        layout = QVBoxLayout(self)
        layout.addLayout(self._form)
        self._press = QHBoxLayout()
        self._press.addWidget(self.segment, 1)
        layout.addLayout(self._press)

    @property
    def layer(self) -> Image | None:
        """The image layer that is chosen."""
        return self.image.currentData()

    def add_beside_segment(self, button: QWidget) -> None:
        """Show another way to get labels beside the button."""
        self._press.addWidget(button)

    @property
    def channel_number(self) -> Channels:
        """The channel that is chosen, several to combine, None for all of them or where there is only one."""
        chosen: Channels | str = self.channel.currentData() if self.channel.count() else None
        if chosen == SEVERAL:
            return tuple(row for row, item in enumerate(self._ticks()) if item.checkState() == _TICKED)
        return chosen  # type: ignore[return-value]

    @property
    def views(self) -> int:
        """How many times the network is to look."""
        return VIEWS if self.careful.isChecked() else 1

    @property
    def chosen_scope(self) -> str:
        """What of the image is wanted."""
        return str(self.scope.currentData())

    def show_images(self, layers: Sequence[Image], chosen: Image | None) -> None:
        """Offer these image layers."""
        show_choices(self.image, [(layer.name, layer) for layer in layers], chosen)

    def show_models(self, entries: Sequence[ModelEntry], chosen: str | Path, taken: Path | None) -> None:
        """Offer these models; `taken` is the one that was taken for the image where `AUTO` is `chosen`."""
        show_models(self.model, entries, chosen, taken)

    def show_image(self, image: OpenImage | None, wanted_channels: int) -> None:
        """Show what an image is taken for; offer its channels, where it has any, and parts of it.

        `wanted_channels` is how many the model takes at once. None is an image that is not open yet.
        """
        chosen = image.channel if image is not None else None
        several = isinstance(chosen, tuple)
        names = _name_channels(image)
        show_choices(self.channel, _channels(image, names, wanted_channels), SEVERAL if several else chosen)
        self._show_row(self.channel, self.channel.count() > 0)
        self._show_ticks(names, chosen if isinstance(chosen, tuple) else tuple(range(len(names))))
        self._show_row(self.channels, self.channel.currentData() == SEVERAL)
        show_choices(self.scope, _parts(image), self.scope.currentData())
        self._show_row(self.scope, image is not None)
        self._show_row(self.axes, self.layer is not None)
        if image is not None:
            self.axes.show_image(image, self.channel_number)
        elif self.layer is None:
            self.axes.clear()

    def _ticks(self) -> list[QListWidgetItem]:
        return [self.channels.item(row) for row in range(self.channels.count())]

    def _show_ticks(self, names: Sequence[str], ticked: Sequence[int]) -> None:
        with signals_blocked(self.channels):
            if [item.text() for item in self._ticks()] != list(names):
                self.channels.clear()
                self.channels.addItems(names)
                rows = min(len(names), _MOST_ROWS)
                frame = 2 * self.channels.frameWidth()
                self.channels.setFixedHeight(rows * max(self.channels.sizeHintForRow(0), 1) + frame)
            for row, item in enumerate(self._ticks()):
                item.setCheckState(_TICKED if row in ticked else Qt.CheckState.Unchecked)

    def _choose_channel(self) -> None:
        self.channel_chosen.emit()

    def _tick_channel(self, item: QListWidgetItem) -> None:
        if self.channel_number == ():
            with signals_blocked(self.channels):  # one has to be left
                item.setCheckState(_TICKED)
        self.channel_chosen.emit()

    def _show_row(self, field: QWidget, shown: bool) -> None:
        field.setVisible(shown)
        label = self._form.labelForField(field)
        if label is not None:
            label.setVisible(shown)


_TICKED = Qt.CheckState.Checked


def _parts(image: OpenImage | None) -> list[Choice]:
    if image is None:
        return []
    if image.is_large:
        return [("What you see", VIEW), ("Whole image", ALL)]
    if any(size > 1 for size in image.grid.stack_shape):
        return [("This plane", PLANE), ("Whole stack", STACK), ("What you see", VIEW)]
    return [("Whole image", STACK), ("What you see", VIEW)]


def _name_channels(image: OpenImage | None) -> list[str]:
    """Return the names of an image's channels; none where it has fewer than two."""
    if image is None or image.grid.channels < 2:
        return []
    if "S" in image.grid.axes:
        return ["Red", "Green", "Blue"][: image.grid.channels]
    return list(image.channel_names) or [f"Channel {number + 1}" for number in range(image.grid.channels)]


def _channels(image: OpenImage | None, names: Sequence[str], wanted: int) -> list[Choice]:
    if image is None or not names:
        return []
    single: list[Choice] = [(name, number) for number, name in enumerate(names)]
    if "S" in image.grid.axes:
        return [("Grey (all colours)", None), *single, ("Several…", SEVERAL)]
    return [("All channels", None)] if wanted == len(names) else [*single, ("Several…", SEVERAL)]
