"""The dock widget: four steps from an image to a better model and its results, put together."""

from __future__ import annotations

from collections.abc import Callable
from threading import Thread
from typing import Any

from qtpy.QtCore import QEvent, QObject, QTimer
from qtpy.QtWidgets import QPushButton, QVBoxLayout, QWidget

from napari_unet.core.base import Progress
from napari_unet.session import Session
from napari_unet.store import Project
from napari_unet.ui.canvas import Canvas
from napari_unet.ui.common import (
    PANEL,
    Poster,
    RunBar,
    ScrollColumn,
    preload,
    set_look,
    spare_the_first_labels,
)
from napari_unet.ui.guide import advise, greet, survey
from napari_unet.ui.panel.correct import CorrectStep
from napari_unet.ui.panel.fine_tune import FineTuneStep
from napari_unet.ui.panel.keys import CanvasFocus, bind_keys, unbind_keys
from napari_unet.ui.panel.masks import MasksBar
from napari_unet.ui.panel.region import RegionBar
from napari_unet.ui.panel.results import ResultsStep
from napari_unet.ui.panel.segment import SegmentStep
from napari_unet.worker import Worker


class UNetPanel(QWidget):
    """Segment, correct, fine-tune: one panel, which always says what is happening and what to press next.

    `project` and `worker` default to the user's project and a new worker process.
    """

    def __init__(
        self, napari_viewer: Any, *, project: Project | None = None, worker: Worker | None = None
    ) -> None:
        super().__init__()
        self.viewer = getattr(napari_viewer, "__wrapped__", napari_viewer)
        poster = Poster(self)
        self.session = Session(project or Project.open(), worker or Worker(), poster.post, poster.post_gently)
        self.canvas = Canvas(self.viewer, self.session, self)
        self.run_bar = RunBar()
        self.step1 = SegmentStep(self.canvas)
        self.masks = MasksBar(self.canvas)
        self.step2 = CorrectStep(self.canvas)
        self.region = RegionBar(self.canvas)
        self.step3 = FineTuneStep(self.canvas, lambda: self.step1.channel_number)
        self.step4 = ResultsStep(self.canvas)
        self.steps = (self.step1, self.masks, self.step2, self.region, self.step3, self.step4)
        self._refresh_timer = QTimer(self, singleShot=True, interval=0)
        self._refresh_timer.timeout.connect(self.refresh)
        self._lay_out()
        self.run_bar.cancel.clicked.connect(self.session.runner.cancel)
        self.step1.edited.connect(self.refresh)
        self.step3.decision_due.connect(self.column.show_control)
        self.session.runner.changed.connect(self._refresh_soon)
        self.session.runner.progress.connect(self._show_progress)
        self.canvas.changed.connect(self.refresh)
        bind_keys(self.viewer, self, self.canvas.tools, self.canvas.walk)
        self._focus = CanvasFocus(self)
        self.destroyed.connect(_ending(self.session, self.canvas))
        self.session.start()
        Thread(target=preload, daemon=True).start()
        self.canvas.choose_topmost()
        spare_the_first_labels()

    def refresh(self) -> None:
        """Show the session as it is now."""
        self.canvas.refresh()
        for step in self.steps:
            step.refresh()
        session, busy = self.session, self.session.run is not None
        if busy:
            self.run_bar.show_busy()
        else:
            self.run_bar.show_idle()
        work = survey(
            session,
            self.canvas.image,
            has_image=self.canvas.layer is not None,
            broken_axes=bool(self.step1.axes.problem),
            in_sight=self.canvas.sees_place,
        )
        advice = advise(work)
        self.run_bar.say(session.notice or greet(session), advice.sentence, is_error=session.is_error)
        for button in self.findChildren(QPushButton):
            set_look(button, "next", bool(advice.button) and button.objectName() == advice.button)

    def event(self, event: QEvent | None) -> bool:
        """Go away for good when napari takes the panel out of its dock."""
        if event is not None and event.type() == QEvent.Type.ParentChange and self.parent() is None:
            self.deleteLater()
        return super().event(event)

    def showEvent(self, event: Any) -> None:  # noqa: N802 - Qt's name
        """Look out for the closing of the window that the panel is in."""
        self.window().installEventFilter(self)
        self.masks.watch(self.window())
        self._focus.watch(self.window())
        super().showEvent(event)

    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:  # noqa: N802 - Qt's name
        """Take what was corrected last before the window closes."""
        if event is not None and event.type() == QEvent.Type.Close:
            self.canvas.watch.flush()
        return super().eventFilter(watched, event)

    def _lay_out(self) -> None:
        steps = QWidget()
        column = QVBoxLayout(steps)
        column.setContentsMargins(0, 0, 0, 0)
        for step in self.steps:
            column.addWidget(step)
        self.step1.add_beside_segment(self.masks.use)
        column.addStretch()
        layout = QVBoxLayout(self)
        layout.setContentsMargins(6, 6, 6, 6)
        layout.addWidget(self.run_bar)
        self.column = ScrollColumn(steps)
        layout.addWidget(self.column, 1)
        self.setStyleSheet(PANEL)

    def _refresh_soon(self) -> None:
        self._refresh_timer.start()

    def _show_progress(self, progress: Progress) -> None:
        self.run_bar.show_progress(progress)
        self.step3.show_progress(progress)


def _ending(session: Session, canvas: Canvas) -> Callable[[], None]:
    """Return what ends a panel's work once its widgets are gone; it keeps both in being until then."""

    def end() -> None:
        runner, images = session.runner, session.images
        shown_here = (
            *(runner.changed, runner.progress, session.regions.cells_written),
            *(images.labels_replaced, images.put_away, images.measured, images.reviewed, images.visited),
            images.closed,
        )
        for signal in shown_here:
            signal.disconnect()
        unbind_keys(canvas.viewer)
        session.close()
        canvas.stop()

    return end
