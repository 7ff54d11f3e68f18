"""A column of controls that scrolls where the window is too low for it."""

from __future__ import annotations

from qtpy.QtCore import QEvent, QObject, QSize, Qt, QTimer
from qtpy.QtWidgets import QFrame, QScrollArea, QWidget


class ScrollColumn(QScrollArea):
    """Scrolls up and down only: it is never narrower than its widget with a scroll bar beside it."""

    def __init__(self, widget: QWidget) -> None:
        super().__init__(widgetResizable=True)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setWidget(widget)
        self._wanted: QWidget | None = None
        self._laid_out = QTimer(self, singleShot=True, interval=0)
        self._laid_out.timeout.connect(self._scroll)

    def show_control(self, control: QWidget) -> None:
        """Scroll to a control that is about to appear, once it has its place."""
        self._wanted = control

    def minimumSizeHint(self) -> QSize:  # noqa: N802 - Qt's name
        """Return the least size, with room for the scroll bar whether it is there or not."""
        bar = self.verticalScrollBar()
        # Where the bar is shown, a style may leave a gap beside it.
        room = self.width() - self.viewport().width() if bar.isVisible() else 0
        room = max(room, bar.sizeHint().width())
        return QSize(self.widget().minimumSizeHint().width() + room, super().minimumSizeHint().height())

    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:  # noqa: N802 - Qt's name
        """Ask for more room where the widget has become wider."""
        if event is not None and event.type() == QEvent.Type.LayoutRequest:
            self.updateGeometry()
            self._laid_out.start()
        return super().eventFilter(watched, event)

    def _scroll(self) -> None:
        if self._wanted is not None and self._wanted.isVisible():
            self.ensureWidgetVisible(self._wanted)
            self._wanted = None
