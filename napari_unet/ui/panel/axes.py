"""What an image is taken for: the letters of its axes, to edit, and the same in words."""

from __future__ import annotations

from qtpy.QtCore import QEvent, Qt, Signal
from qtpy.QtGui import QKeyEvent
from qtpy.QtWidgets import QHBoxLayout, QLineEdit, QWidget

from napari_unet.core.base import InputError
from napari_unet.core.image import Channels
from napari_unet.session import OpenImage
from napari_unet.ui.common import Sentence, set_look

_HELP = "T time, Z depth, C channels, Y rows, X columns: one letter for each axis, in the image's order."
_WIDTH = 64


class AxesEditor(QWidget):
    """A field with the axes of an image, and beside it what they make of it, or why they cannot be.

    `named(axes)` is emitted as soon as the user has typed axes that fit, and with None where the field is
    empty or Escape was pressed: then the axes are guessed again. `edited()` follows every key.
    """

    named = Signal(object)
    edited = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.field = _Field(objectName="axes")
        self.field.setFixedWidth(_WIDTH)
        self.words = Sentence("image_words")
        self._image: OpenImage | None = None
        self.field.textEdited.connect(self._take)
        self.field.escaped.connect(self._guess_again)
        self.field.editingFinished.connect(self._show_axes)
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.addWidget(self.field, 0, Qt.AlignmentFlag.AlignTop)
        row.addWidget(self.words, 1)

    @property
    def problem(self) -> str:
        """Why the axes in the field cannot be those of the image; empty where they can."""
        return self._read(None)[1]

    def show_image(self, image: OpenImage, channel: Channels) -> None:
        """Show how an image is taken, of which `channel` is looked at; what is being typed stays."""
        if self._image is None or self._image.source.id != image.source.id:
            self.field.setText(image.grid.axes)
        self._image = image
        self.field.setPlaceholderText(image.guess)
        self.field.setToolTip(f"{_HELP}\nEscape goes back to {image.guess}.")
        if not self.field.isModified():
            self._show_axes()
        self._explain(channel)

    def clear(self) -> None:
        """Show that there is no image."""
        self._image = None
        self.field.clear()
        self.words.say("")

    def _read(self, channel: Channels) -> tuple[str, str]:
        """Return what the axes in the field make of the image, in words, and why they cannot be its axes."""
        if self._image is None:
            return "", ""
        try:
            grid = self._image.plan(self.field.text() or None)
        except InputError as error:
            return "", str(error)
        in_force = grid == self._image.grid
        return grid.describe(channel if in_force else None, self._image.pixel_size), ""

    def _explain(self, channel: Channels) -> None:
        words, problem = self._read(channel)
        self.words.say(problem or words, is_error=bool(problem))
        set_look(self.field, "error", bool(problem))

    def _take(self, text: str) -> None:
        at = self.field.cursorPosition()
        self.field.setText(text.upper())
        self.field.setCursorPosition(at)
        self.field.setModified(True)
        self._explain(None)
        if not self.problem:
            self.named.emit(text.upper() or None)
        self.edited.emit()

    def _guess_again(self) -> None:
        if self._image is not None:
            self.field.setText(self._image.guess)
            self._explain(None)
            self.named.emit(None)
            self.edited.emit()

    def _show_axes(self) -> None:
        """Show the axes in force, unless those in the field are still to be mended."""
        self.field.setModified(False)
        if self._image is not None and not self.problem:
            self.field.setText(self._image.grid.axes)


class _Field(QLineEdit):
    """A line to edit that knows Escape."""

    escaped = Signal()

    def event(self, event: QEvent | None) -> bool:
        """Keep Escape from napari, where it would mean something else."""
        if event is not None and event.type() == QEvent.Type.ShortcutOverride and _is_escape(event):
            event.accept()
            return True
        return super().event(event)

    def keyPressEvent(self, event: QKeyEvent | None) -> None:  # noqa: N802 - Qt's name
        """Say that Escape was pressed."""
        if event is not None and _is_escape(event):
            self.escaped.emit()
        else:
            super().keyPressEvent(event)


def _is_escape(event: QEvent) -> bool:
    return isinstance(event, QKeyEvent) and event.key() == Qt.Key.Key_Escape
