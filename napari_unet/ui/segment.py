"""Step 1: which image, which model, which part - and the button."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from napari.layers import Image
from qtpy.QtWidgets import QComboBox, QFormLayout, QGroupBox, QHBoxLayout, QPushButton, QVBoxLayout, QWidget
from superqt.utils import signals_blocked

from napari_unet.app.models import ModelEntry
from napari_unet.core.axes import PlaneGrid

Choice = tuple[str, object]


class SegmentStep(QGroupBox):
    """The controls of step 1; they show what they are told and hold nothing."""

    def __init__(self) -> None:
        super().__init__("1  Segment")
        self.image = _combo("image", "The image to segment: it follows the layer you select")
        self.open = QPushButton("Open…", objectName="open")
        self.open.setToolTip("Open an image file")
        self.model = _combo("model", "What kind of cells the network looks for")
        self.channel = _combo("channel", "The channel that shows the cells")
        self.scope = _combo("scope", "Segment the plane that you see, or all planes of the stack")
        self.segment = QPushButton("Segment", objectName="segment")
        self.segment.setToolTip("Find the cells (Shift-S)")
        first = QHBoxLayout()
        first.addWidget(self.image, 1)
        first.addWidget(self.open)
        self._form = QFormLayout()
        self._form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        self._form.addRow("Image", first)
        self._form.addRow("Model", self.model)
        self._form.addRow("Channel", self.channel)
        self._form.addRow("Planes", self.scope)
        layout = QVBoxLayout(self)
        layout.addLayout(self._form)
        layout.addWidget(self.segment)
        show_choices(self.scope, [("This plane", "plane"), ("Whole stack", "stack")], "plane")

    @property
    def layer(self) -> Image | None:
        """The image layer that is chosen."""
        return self.image.currentData()

    @property
    def channel_number(self) -> int | None:
        """The channel that is chosen, None for all of them, or where there is only one."""
        return self.channel.currentData() if self.channel.count() else None

    @property
    def whole_stack(self) -> bool:
        """Whether all planes are wanted."""
        return self.scope.currentData() == "stack"

    def show_images(self, layers: Sequence[Image], chosen: Image | None) -> None:
        """Offer these image layers."""
        show_choices(self.image, [(layer.name, layer) for layer in layers], chosen)

    def show_models(self, entries: Sequence[ModelEntry], chosen: Path | None) -> None:
        """Offer these models."""
        show_choices(self.model, [(_title(entry), entry.path) for entry in entries], chosen)
        for row, entry in enumerate(entries):
            self.model.setItemData(row, entry.card.description or str(entry.path), _TOOLTIP)

    def show_grid(self, grid: PlaneGrid | None, wanted_channels: int) -> None:
        """Offer the channels of an image, where it has any, and its planes, where it is a stack.

        `wanted_channels` is how many the model takes at once.
        """
        choices = _channels(grid, wanted_channels)
        show_choices(self.channel, choices, self.channel.currentData())
        self._show_row(self.channel, bool(choices))
        is_stack = grid is not None and any(size > 1 for size in grid.stack_shape)
        self.scope.setEnabled(is_stack)
        self._show_row(self.scope, is_stack)

    def _show_row(self, field: QWidget, shown: bool) -> None:
        field.setVisible(shown)
        self._form.labelForField(field).setVisible(shown)


_TOOLTIP = 3  # Qt.ItemDataRole.ToolTipRole


def show_choices(combo: QComboBox, choices: Sequence[Choice], chosen: object) -> None:
    """Fill a combo box, without a signal, unless it shows just that already."""
    rows = [(combo.itemText(row), combo.itemData(row)) for row in range(combo.count())]
    with signals_blocked(combo):
        if rows != list(choices):
            combo.clear()
            for text, data in choices:
                combo.addItem(text, data)
        at = next((row for row, (_, data) in enumerate(choices) if data == chosen), 0 if choices else -1)
        combo.setCurrentIndex(at)


def _channels(grid: PlaneGrid | None, wanted: int) -> list[Choice]:
    if grid is None or grid.channels < 2:
        return []
    if "S" in grid.axes:
        colours: list[Choice] = [("Grey (all colours)", None), ("Red", 0), ("Green", 1), ("Blue", 2)]
        return colours
    single: list[Choice] = [(f"Channel {number + 1}", number) for number in range(grid.channels)]
    return [("All channels", None)] if wanted == grid.channels else single


def _title(entry: ModelEntry) -> str:
    title = entry.card.title
    return f"{entry.path.stem} - {title}" if title and title != entry.path.stem else entry.path.stem


def _combo(name: str, tip: str) -> QComboBox:
    combo = QComboBox(objectName=name)
    combo.setToolTip(tip)
    combo.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
    combo.setMinimumContentsLength(8)
    return combo
