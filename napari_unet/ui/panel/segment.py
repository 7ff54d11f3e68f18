"""Step 1: which image, which model, which part - and the button."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import (
    QCheckBox,
    QFormLayout,
    QGroupBox,
    QHBoxLayout,
    QListWidget,
    QListWidgetItem,
    QPushButton,
    QToolButton,
    QVBoxLayout,
    QWidget,
)
from superqt.utils import signals_blocked

from napari_unet.core.base import VIEWS, SegmentParams
from napari_unet.core.image import Channels
from napari_unet.session import OpenImage
from napari_unet.ui.canvas import Canvas
from napari_unet.ui.canvas import layers as shown
from napari_unet.ui.common import Choice, ask_for_images, make_combo, open_images, show_choices, show_models
from napari_unet.ui.panel.axes import AxesEditor
from napari_unet.ui.panel.region import ALL, PLANE, STACK, VIEW, Scopes

SEVERAL = "several"
_MOST_ROWS = 4
_STEP_WIDTH = 18  # px


class SegmentStep(QGroupBox):
    """The controls of step 1; `edited()` is emitted with every key that is typed into the axes."""

    edited = Signal()

    def __init__(self, canvas: Canvas) -> None:
        super().__init__("1  Segment")
        self._canvas, self._session = canvas, canvas.session
        self._scopes = Scopes(canvas)
        self.image = make_combo("image", "The image to segment: it follows the layer you select")
        self.open = QPushButton("Open…", objectName="open")
        self.open.setToolTip("Open an image file")
        self.model = make_combo("model", "What kind of cells the network looks for")
        self.axes = AxesEditor()
        self.channel = make_combo("channel", "The channel that shows the cells")
        self.channels = QListWidget(objectName="channels")
        self.channels.setToolTip("The mean of these channels is looked at, each scaled to its own brightness")
        self.scope = make_combo("scope", "What you see: the cells that reach into view; all others stay")
        self.careful = QCheckBox(f"{VIEWS} times: slower, a little better", objectName="careful")
        self.careful.setToolTip(SegmentParams.model_fields["views"].description or "")
        self.segment = QPushButton("Segment", objectName="segment")
        self.segment.setToolTip("Find the cells (Shift-S)")
        self.use_better = QPushButton(objectName="use_better")
        self.use_better.setToolTip("Segment again with the model that fits this image best")
        self.use_better.hide()
        self._steps: dict[int, QToolButton] = {}
        first = QHBoxLayout()
        first.addWidget(self.image, 1)
        for step, text, name in ((-1, "‹", "previous"), (1, "›", "next")):
            first.addWidget(self._make_step(step, text, name))
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
        layout.addWidget(self.use_better)
        self._connect()

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
    def _scope(self) -> str:
        return str(self.scope.currentData())

    def refresh(self) -> None:
        """Offer the images and models that there are; show what the image is taken for."""
        session, layer, image = self._session, self._canvas.layer, self._canvas.image
        layers = self._canvas.list_images()
        show_choices(self.image, [(one.name, one) for one in layers], layer)
        for step, button in self._steps.items():
            button.setVisible(len(layers) > 1)
            button.setEnabled(0 <= self.image.currentIndex() + step < len(layers))
        show_models(self.model, session.models, session.chosen, image.model if image is not None else None)
        entry, busy = session.model_entry, session.run is not None
        self._show_image(image, entry.card.network.channels if entry else 1)
        self.axes.field.setEnabled(not busy)
        ready = layer is not None and session.model is not None and not self.axes.problem
        self.segment.setEnabled(ready and not busy)
        better = self._find_better()
        self.use_better.setVisible(better is not None)
        if better is not None:
            self.use_better.setText(f"Use {better.stem}")
            self.use_better.setEnabled(not busy)

    def _connect(self) -> None:
        canvas, session = self._canvas, self._session
        self.open.clicked.connect(self._open_files)
        self.image.currentIndexChanged.connect(lambda _: canvas.choose(self.image.currentData()))
        self.axes.named.connect(self._name_axes)
        self.axes.edited.connect(self.edited)
        self.model.activated.connect(lambda _: session.choose(self.model.currentData()))
        self.channel.currentIndexChanged.connect(self._choose_channel)
        self.channels.itemChanged.connect(self._tick_channel)
        self.scope.activated.connect(self._announce)
        self.careful.toggled.connect(self._look)
        self.segment.clicked.connect(self._segment)
        self.use_better.clicked.connect(self._use_better)

    def _open_files(self) -> None:
        open_images(self._canvas.viewer, ask_for_images(self), self._session.runner)

    def _name_axes(self, axes: str | None) -> None:
        if self._canvas.layer is not None:
            self._session.images.name_axes(shown.source_of(self._canvas.layer), axes)

    def _look(self) -> None:
        self._session.views = VIEWS if self.careful.isChecked() else 1

    def _announce(self) -> None:
        self._scopes.announce(self._canvas.image, self._scope, self.channel_number)

    def _segment(self) -> None:
        layer = self._canvas.layer
        if layer is not None:
            self._scopes.segment(layer, self._canvas.image, self._scope, self.channel_number)

    def _find_better(self) -> Path | None:
        image = self._canvas.image
        return self._session.knowledge.find_better(image) if image is not None else None

    def _use_better(self) -> None:
        better = self._find_better()
        if better is not None:
            self._session.choose(better)
            self._segment()

    def _show_image(self, image: OpenImage | None, wanted_channels: int) -> None:
        """Show an image, None if it is not open yet, of which the model takes so many channels at once."""
        chosen = image.channel if image is not None else None
        several = isinstance(chosen, tuple)
        names = _name_channels(image)
        show_choices(self.channel, _channels(image, names, wanted_channels), SEVERAL if several else chosen)
        self._show_row(self.channel, self.channel.count() > 0)
        self._show_ticks(names, chosen if isinstance(chosen, tuple) else tuple(range(len(names))))
        self._show_row(self.channels, self.channel.currentData() == SEVERAL)
        show_choices(self.scope, _parts(image), self.scope.currentData())
        self._show_row(self.scope, image is not None)
        self._show_row(self.axes, self._canvas.layer is not None)
        if image is not None:
            self.axes.show_image(image, self.channel_number)
        elif self._canvas.layer is None:
            self.axes.clear()

    def _make_step(self, step: int, text: str, name: str) -> QToolButton:
        button = self._steps[step] = QToolButton(objectName=f"{name}_image", text=text)
        button.setToolTip(f"The {name} image")
        button.setAccessibleName(button.toolTip())
        button.setFixedWidth(_STEP_WIDTH)
        button.hide()
        button.clicked.connect(lambda: self.image.setCurrentIndex(self.image.currentIndex() + step))
        return button

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
        if self._canvas.image is not None:
            self._canvas.image.channel = self.channel_number
        self._session.changed.emit()

    def _tick_channel(self, item: QListWidgetItem) -> None:
        if self.channel_number == ():
            with signals_blocked(self.channels):  # one has to be left
                item.setCheckState(_TICKED)
        self._choose_channel()

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
        moving = "T" in image.grid.axes
        one, every = ("This frame", "All frames") if moving else ("This plane", "Whole stack")
        return [(one, PLANE), (every, STACK), ("What you see", VIEW)]
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
