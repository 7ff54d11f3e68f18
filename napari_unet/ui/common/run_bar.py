"""What is being done: the sentence, the bar, the button that stops it - and the way back to Qt's thread."""

from __future__ import annotations

import contextlib
from collections.abc import Callable

from qtpy.QtCore import QObject, Qt, QTimer, Signal
from qtpy.QtGui import QFontMetrics
from qtpy.QtWidgets import (
    QApplication,
    QHBoxLayout,
    QLabel,
    QProgressBar,
    QPushButton,
    QSizePolicy,
    QVBoxLayout,
    QWidget,
)

from napari_unet.core.base import Progress
from napari_unet.ui.common.style import set_look

_TURN = 10  # ms
_STROKE_POLL = 30  # ms between looks at whether the mouse button is still down


class Poster(QObject):
    """Calls functions on the thread that it was made on, whoever posts them."""

    posted = Signal(object)

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.posted.connect(self._call, Qt.ConnectionType.QueuedConnection)

    def post(self, function: Callable[[], object]) -> None:
        """Call `function` soon; not at all where the window is gone by then."""
        with contextlib.suppress(RuntimeError):  # the C++ half has been deleted
            self.posted.emit(function)

    def post_gently(self, function: Callable[[], object]) -> None:
        """Call `function` as soon as no mouse button is down."""
        self.post(lambda: self._call_between_strokes(function))

    def _call_between_strokes(self, function: Callable[[], object]) -> None:
        if QApplication.mouseButtons() == Qt.MouseButton.NoButton:
            function()
        else:
            timer = QTimer(self, singleShot=True)
            timer.timeout.connect(lambda: self._call_between_strokes(function))
            timer.timeout.connect(timer.deleteLater)
            timer.start(_STROKE_POLL)

    def _call(self, function: Callable[[], object]) -> None:
        function()


def paint_later(widget: QWidget) -> None:
    """Paint what changes now in a turn of the event loop of its own, so that no turn is long."""
    window, timer = widget.window(), QTimer(widget, singleShot=True)
    window.setUpdatesEnabled(False)
    timer.timeout.connect(lambda: window.setUpdatesEnabled(True))
    timer.timeout.connect(timer.deleteLater)
    timer.start(_TURN)


class RunBar(QWidget):
    """One sentence that says what is happening, one that says what to do next, a bar and Cancel.

    Their object names begin with `prefix`.
    """

    def __init__(self, prefix: str = "") -> None:
        super().__init__()
        self.status = Sentence(f"{prefix}status")
        self.hint = Sentence(f"{prefix}hint")
        self.bar = QProgressBar(objectName=f"{prefix}progress")
        self.bar.setTextVisible(False)
        self.bar.setFixedHeight(10)
        self.cancel = QPushButton("Cancel", objectName=f"{prefix}cancel")
        self.cancel.setToolTip("Stop; everything stays as it was before")
        for widget in (self.bar, self.cancel):  # what is below must not jump when work begins or ends
            policy = widget.sizePolicy()
            policy.setRetainSizeWhenHidden(True)
            widget.setSizePolicy(policy)
        row = QHBoxLayout()
        row.addWidget(self.bar, 1)
        row.addWidget(self.cancel)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.status)
        layout.addWidget(self.hint)
        layout.addLayout(row)
        self.show_idle()

    def say(self, sentence: str, hint: str, *, is_error: bool) -> None:
        """Show a sentence, in a colour of its own where it says what went wrong, and what to do next."""
        self.status.say(sentence, is_error=is_error)
        self.hint.setText(hint)

    def show_progress(self, progress: Progress) -> None:
        """Show how far the work is and what it says."""
        known = progress.fraction is not None
        self.bar.setRange(0, 1000 if known else 0)
        self.bar.setValue(round(1000 * (progress.fraction or 0)))
        if progress.message:
            self.status.setText(progress.message)

    def show_busy(self) -> None:
        """Show that work has begun and nobody knows yet how long it takes."""
        if not self.cancel.isEnabled():
            self.bar.setRange(0, 0)
            self.cancel.setEnabled(True)
            self.bar.setVisible(True)
            self.cancel.setVisible(True)

    def show_idle(self) -> None:
        """Show that nothing is being done."""
        self.bar.setRange(0, 1000)
        self.bar.reset()
        self.cancel.setEnabled(False)
        self.bar.setVisible(False)
        self.cancel.setVisible(False)


class Sentence(QLabel):
    """A sentence for the user, in a colour of its own where it says what went wrong."""

    def __init__(self, name: str) -> None:
        super().__init__(objectName=name)
        self.setWordWrap(True)
        self.setTextFormat(Qt.TextFormat.PlainText)
        self.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        # Room for two lines, always: the panel must not jump when a sentence wraps.
        self.setMinimumHeight(2 * QFontMetrics(self.font()).lineSpacing() + 4)
        self.setAlignment(Qt.AlignmentFlag.AlignTop)
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)

    def say(self, sentence: str, *, is_error: bool = False) -> None:
        """Show a sentence."""
        self.setText(sentence)
        set_look(self, "error", is_error)
