"""Step 3: learn from the corrections, see what it brought, keep it or go back."""

from __future__ import annotations

from typing import Any

from qtpy.QtCore import Qt
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
)

from napari_unet.core.base.params import DEFAULT_EFFORT, EFFORTS, FineTuneParams
from napari_unet.core.base.progress import Progress
from napari_unet.session.pace import Pace
from napari_unet.session.trial import Trial
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
    """The controls of step 3."""

    def __init__(self) -> None:
        super().__init__("3  Fine-tune")
        self.effort = _effort()
        self.estimate = QLabel(objectName="estimate")
        self.estimate.setWordWrap(True)
        self.images = ImagesUsed()
        self.fine_tune = QPushButton("Fine-tune from corrections", objectName="fine_tune")
        self.fine_tune.setToolTip(
            "Let the network learn from what you reviewed, and from nothing else (Shift-T)"
        )
        self.reason = QLabel(objectName="reason")
        self.reason.setWordWrap(True)
        self.plot = LossPlot()
        self.scores = ScoreTable()
        self.known = QLabel(objectName="known")
        self.known.setWordWrap(True)
        self.known.setToolTip(
            "AP at IoU 0.5 on drawn images that the old model segments well and that were not learnt from: "
            "a fall means that it forgets other kinds of images"
        )
        self.compare = QPushButton("Compare", objectName="compare")
        self.compare.setToolTip("Show what you see now under the old and the new model, side by side")
        self.keep = QPushButton("Keep", objectName="keep")
        self.roll_back = QPushButton("Roll back", objectName="roll_back")
        self._lay_out()
        self._pace: Pace | None = None
        self.effort.currentIndexChanged.connect(lambda: self.show_pace(self._pace))
        self.show_pace(None)
        self.show_trial(None)

    @property
    def seconds(self) -> float:
        """How long to learn, from the press of the button to the new labels."""
        return EFFORTS[self.effort.currentData()].seconds

    def show_pace(self, pace: Pace | None) -> None:
        """Say what the chosen effort will take, as far as it is known."""
        self._pace = pace
        text = EFFORTS[self.effort.currentData()].duration
        if pace is not None:
            text += f": ~{pace.count_steps(self.seconds)} steps on this machine"
        self.estimate.setText(text)

    def show_reason(self, reason: str) -> None:
        """Say why the button cannot be pressed now; nothing where it can."""
        self.reason.setText(reason)
        self.reason.setVisible(bool(reason))

    def show_progress(self, progress: Progress) -> None:
        """Continue the curves."""
        step = progress.values.get("step", 0)
        if "loss" in progress.values:
            self.plot.add(step, progress.values["loss"])
        if "score" in progress.values:
            self.plot.add_score(progress.values["score_step"], progress.values["score"])

    def show_trial(self, trial: Trial | None) -> None:
        """Show what a fine-tuning brought, and the decision that is due."""
        for widget in (self.compare, self.keep, self.roll_back):
            widget.setVisible(trial is not None)
        self.plot.setVisible(trial is not None or bool(self.plot.points))
        self.scores.show_result(trial.result if trial is not None else None)
        before, after = (
            (trial.result.get(f"known_{when}") if trial is not None else None) for when in ("before", "after")
        )
        self.known.setVisible(before is not None and after is not None)
        if before is not None and after is not None:
            self.known.setText(f"On images it knew: {before:.2f} → {after:.2f}")
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
        for widget in (self.images, self.fine_tune, self.reason, self.plot, self.scores, self.known):
            layout.addWidget(widget)
        layout.addLayout(decision)


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

    def show_result(self, result: dict[str, Any] | None) -> None:
        """Show the scores in a fine_tune job's result; hidden where there are none."""
        before, after = (result or {}).get("before"), (result or {}).get("after")
        self.setVisible(before is not None and after is not None)
        if before is None or after is None:
            return
        for row, (name, title, tip, higher_is_better) in enumerate(ROWS):
            old, new = read_score(before, name), read_score(after, name)
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


def read_score(scores: dict[str, Any], name: str) -> float:
    """Return one figure of scores that travelled as a dictionary."""
    if name == "ap50":
        return float(scores["ap"]["0.50"])
    if name == "mean_ap":
        return sum(scores["ap"].values()) / len(scores["ap"])
    return float(scores[name])


def _effort() -> QComboBox:
    choice = QComboBox(objectName="effort")
    for name, effort in EFFORTS.items():
        choice.addItem(f"{effort.title} - {effort.duration}", name)
    choice.setCurrentIndex(choice.findData(DEFAULT_EFFORT))
    choice.setToolTip(FineTuneParams.model_fields["seconds"].description or "")
    return choice
