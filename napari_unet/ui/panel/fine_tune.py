"""Step 3: learn from the corrections, see what it brought, keep it or go back."""

from __future__ import annotations

from collections.abc import Callable

from qtpy.QtCore import Qt, Signal
from qtpy.QtGui import QFont
from qtpy.QtWidgets import (
    QComboBox,
    QFormLayout,
    QGroupBox,
    QHBoxLayout,
    QHeaderView,
    QLabel,
    QPushButton,
    QSizePolicy,
    QTableWidget,
    QTableWidgetItem,
    QVBoxLayout,
    QWidget,
)

from napari_unet.core.base import DEFAULT_EFFORT, EFFORTS, Effort, FineTuneParams, Progress
from napari_unet.core.image import Channels
from napari_unet.jobs import FineTuned
from napari_unet.session import Activity, Pace, Trial
from napari_unet.ui.canvas import Canvas
from napari_unet.ui.guide import explain_no_learning
from napari_unet.ui.panel.compare import Comparer
from napari_unet.ui.panel.images_used import ImagesUsed
from napari_unet.ui.panel.plot import LossPlot

ROWS = (
    ("ap50", "Found (AP at IoU 0.5)", "Share of cells that agree: found / (found + missed + false)", True),
    ("mean_ap", "Outlines (mean AP)", "The same, averaged over IoU 0.5 to 0.9: good outlines count", True),
    ("mean_iou", "Overlap (IoU)", "Mean overlap of the true cells with the labels", True),
    ("missed", "Missed cells", "True cells that no label accounts for", False),
    ("false", "False cells", "Labels where there is no cell", False),
    ("split", "Split cells", "True cells in several pieces", False),
    ("merged", "Merged cells", "Labels that join several true cells", False),
)


class FineTuneStep(QGroupBox):
    """The controls of step 3.

    `find_channel()` returns what of the image is looked at. `decision_due(button)` is emitted when a new
    model comes to trial.
    """

    decision_due = Signal(QWidget)

    def __init__(self, canvas: Canvas, find_channel: Callable[[], Channels]) -> None:
        super().__init__("3  Fine-tune")
        self._canvas, self._session, self._find_channel = canvas, canvas.session, find_channel
        self.comparer = Comparer(canvas, self)
        self.effort = _effort()
        self.estimate = QLabel(objectName="estimate")
        self.estimate.setWordWrap(True)
        self.images = ImagesUsed()
        self.fine_tune = QPushButton("Fine-tune from corrections", objectName="fine_tune")
        self.fine_tune.setToolTip(
            "Let the network learn from what you reviewed, and from nothing else (Shift-T)"
        )
        self.anyway = QPushButton("Learn anyway", objectName="learn_anyway")
        self.anyway.setToolTip("Learn from these corrections although they do not seem to fit the image")
        self.reason = QLabel(objectName="reason")
        self.reason.setWordWrap(True)
        self.plot = LossPlot()
        self.scores = ScoreTable()
        self.known = QLabel(objectName="known")
        self.known.setWordWrap(True)
        self.known.setToolTip(
            "AP at IoU 0.5 on drawn images that the old model segments well: where the new one does worse, "
            "go on using the old one for such images"
        )
        self.compare = QPushButton("Compare", objectName="compare")
        self.compare.setToolTip("Show what you see now under the old and the new model, side by side")
        self.keep = QPushButton("Keep", objectName="keep")
        self.roll_back = QPushButton("Roll back", objectName="roll_back")
        self._lay_out()
        self._connect()

    @property
    def chosen_effort(self) -> Effort:
        """How long to learn, from the press of the button to the new labels, or how many steps."""
        effort: Effort = self.effort.currentData()
        return effort

    @property
    def seconds(self) -> float:
        """How long that is expected to take."""
        return self.chosen_effort.seconds

    def offer(self, effort: Effort) -> None:
        """Add an effort and choose it."""
        self.effort.addItem(f"{effort.title} - {effort.duration}", effort)
        self.effort.setCurrentIndex(self.effort.count() - 1)

    def refresh(self) -> None:
        """Show what there is to learn from, what the effort takes, and what is on trial."""
        session, busy = self._session, self._session.run is not None
        learning = session.runner.activity is Activity.LEARNING
        reason = explain_no_learning(self._canvas.image)
        self.fine_tune.setEnabled(not reason and not busy)
        self.reason.setText(reason)
        self.reason.setVisible(bool(reason))
        self.anyway.setVisible(session.doubted and not busy)
        trial = None if learning else session.trial
        if trial is not None and self.keep.isHidden():
            self.decision_due.emit(self.keep)
        self._show_trial(trial)
        for button in (self.compare, self.keep, self.roll_back):
            button.setEnabled(not busy)
        self._show_pace()
        self.images.show_teachers(session.teachers.known)
        self.comparer.refresh()
        self.plot.setVisible(bool(self.plot.points) or learning or trial is not None)

    def _connect(self) -> None:
        session = self._session
        self.effort.currentIndexChanged.connect(self._show_pace)
        self.fine_tune.clicked.connect(lambda: self._learn(anyway=False))
        self.anyway.clicked.connect(lambda: self._learn(anyway=True))
        self.compare.clicked.connect(self.comparer.open)
        self.images.chosen.connect(session.teachers.choose)
        self.keep.clicked.connect(session.keep)
        self.roll_back.clicked.connect(session.roll_back)

    def _learn(self, *, anyway: bool) -> None:
        image, effort = self._canvas.image, self.chosen_effort
        if image is not None:
            self.plot.clear()
            self._session.fine_tune(
                image.key,
                channel=self._find_channel(),
                seconds=effort.seconds,
                steps=effort.steps,
                anyway=anyway,
            )

    def _show_pace(self) -> None:
        """Say what the chosen effort will take, as far as it is known."""
        pace = self._session.pace
        text = self.chosen_effort.duration
        if pace is not None:
            text += f": ~{pace.count_steps(self.seconds)} steps on this machine{self._warn(pace)}"
        self.estimate.setText(text)

    def _warn(self, pace: Pace) -> str:
        """Say that the chosen effort is too short on this machine, and which one is not."""
        if pace.is_enough(self.seconds):
            return ""
        enough = (effort for effort in EFFORTS.values() if pace.is_enough(effort.seconds))
        better = next(enough, max(EFFORTS.values(), key=lambda effort: effort.seconds))
        if better.seconds <= self.seconds:
            return ", which is too slow to learn much"
        return f", too few to learn much: choose {better.title}"

    def show_progress(self, progress: Progress) -> None:
        """Continue the curves."""
        step = progress.values.get("step", 0)
        if "loss" in progress.values:
            self.plot.add(step, progress.values["loss"])
        if "score" in progress.values:
            self.plot.add_score(progress.values["score_step"], progress.values["score"])

    def _show_trial(self, trial: Trial | None) -> None:
        """Show what a fine-tuning brought, and the decision that is due."""
        for widget in (self.compare, self.keep, self.roll_back):
            widget.setVisible(trial is not None)
        self.scores.show_result(trial.result if trial is not None else None)
        known = trial.known if trial is not None else ""
        self.known.setVisible(bool(known))
        self.known.setText(known)
        if trial is None:
            return
        good = trial.accepted
        self.keep.setText("Keep" if good else "Use it anyway")
        self.roll_back.setText("Roll back" if good else "Discard")
        self.keep.setToolTip(f"Use '{trial.model.stem}' from now on, and offer it in the list of models")
        self.roll_back.setToolTip(f"Go back to '{trial.parent.stem}' and its labels; corrections stay")

    def _lay_out(self) -> None:
        form = QFormLayout()
        form.addRow("Effort", self.effort)
        form.addRow("", self.estimate)
        decision = QHBoxLayout()
        for button in (self.compare, self.keep, self.roll_back):
            decision.addWidget(button)
        layout = QVBoxLayout(self)
        layout.addLayout(form)
        shown = (self.images, self.fine_tune, self.anyway, self.reason, self.plot, self.scores)
        for widget in shown:
            layout.addWidget(widget)
        layout.addLayout(decision)
        layout.addWidget(self.known)  # comes later, and must not push the buttons away


class ScoreTable(QTableWidget):
    """Scores on held-out corrections before and after, the better ones in bold."""

    def __init__(self) -> None:
        super().__init__(len(ROWS), 3)
        self.setObjectName("scores")
        self.setHorizontalHeaderLabels(["On held-out cells", "Before", "After"])
        self.verticalHeader().setVisible(False)
        header = self.horizontalHeader()
        header.setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
        header.setSectionResizeMode(0, QHeaderView.ResizeMode.Stretch)
        self.setEditTriggers(QTableWidget.EditTrigger.NoEditTriggers)
        self.setSelectionMode(QTableWidget.SelectionMode.NoSelection)
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.setVerticalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setShowGrid(False)

    def show_result(self, result: FineTuned | None) -> None:
        """Show the scores of a fine-tuning; hidden where there are none."""
        before, after = (result.before, result.after) if result is not None else (None, None)
        self.setVisible(before is not None and after is not None)
        if before is None or after is None:
            return
        for row, (name, title, tip, higher_is_better) in enumerate(ROWS):
            old, new = float(getattr(before, name)), float(getattr(after, name))
            gain = (new - old) * (1 if higher_is_better else -1)
            self._set(row, 0, title, tip, bold=False)
            form = "{:.2f}" if higher_is_better else "{:.0f}"
            self._set(row, 1, form.format(old), tip, bold=gain < 0)
            self._set(row, 2, form.format(new), tip, bold=gain > 0)
        self.resizeRowsToContents()
        rows = sum(self.rowHeight(row) for row in range(self.rowCount()))
        self.setFixedHeight(rows + self.horizontalHeader().sizeHint().height() + 2 * self.frameWidth() + 2)

    def _set(self, row: int, column: int, text: str, tip: str, *, bold: bool) -> None:
        item = QTableWidgetItem(text)
        font = QFont(self.font())
        font.setBold(bold)
        item.setFont(font)
        item.setToolTip(tip)
        if column:
            item.setTextAlignment(int(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter))
        self.setItem(row, column, item)


def _effort() -> QComboBox:
    choice = QComboBox(objectName="effort")
    for effort in EFFORTS.values():
        choice.addItem(f"{effort.title} - {effort.duration}", effort)
    choice.setCurrentIndex(list(EFFORTS).index(DEFAULT_EFFORT))
    choice.setToolTip(FineTuneParams.model_fields["seconds"].description or "")
    return choice
