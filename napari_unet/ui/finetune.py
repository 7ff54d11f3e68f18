"""Step 3: learn from the corrections, see what it brought, keep it or go back."""

from __future__ import annotations

from typing import Any

from qtpy.QtCore import Qt
from qtpy.QtGui import QFont
from qtpy.QtWidgets import (
    QFormLayout,
    QGroupBox,
    QHBoxLayout,
    QHeaderView,
    QLabel,
    QPushButton,
    QSizePolicy,
    QSpinBox,
    QTableWidget,
    QTableWidgetItem,
    QVBoxLayout,
)

from napari_unet.app.trial import Trial
from napari_unet.core.params import FineTuneParams
from napari_unet.ui.plot import LossPlot

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
        self.seconds = _effort()
        self.fine_tune = QPushButton("Fine-tune from corrections", objectName="fine_tune")
        self.fine_tune.setToolTip(
            "Let the network learn from what you reviewed, and from nothing else (Shift-T)"
        )
        self.reason = QLabel(objectName="reason")
        self.reason.setWordWrap(True)
        self.plot = LossPlot()
        self.scores = ScoreTable()
        self.keep = QPushButton("Keep", objectName="keep")
        self.roll_back = QPushButton("Roll back", objectName="roll_back")
        form = QFormLayout()
        form.addRow("Learn for", self.seconds)
        decision = QHBoxLayout()
        decision.addWidget(self.keep)
        decision.addWidget(self.roll_back)
        layout = QVBoxLayout(self)
        layout.addLayout(form)
        layout.addWidget(self.fine_tune)
        layout.addWidget(self.reason)
        layout.addWidget(self.plot)
        layout.addWidget(self.scores)
        layout.addLayout(decision)
        self.show_trial(None)

    def show_reason(self, reason: str) -> None:
        """Say why the button cannot be pressed now; nothing where it can."""
        self.reason.setText(reason)
        self.reason.setVisible(bool(reason))

    def show_trial(self, trial: Trial | None) -> None:
        """Show what a fine-tuning brought, and the decision that is due."""
        self.keep.setVisible(trial is not None)
        self.roll_back.setVisible(trial is not None)
        self.plot.setVisible(trial is not None or bool(self.plot.points))
        self.scores.show_result(trial.result if trial is not None else None)
        if trial is None:
            return
        good = trial.accepted
        self.keep.setText("Keep" if good else "Use it anyway")
        self.roll_back.setText("Roll back" if good else "Discard")
        self.keep.setToolTip(f"Use '{trial.model.stem}' from now on, and offer it in the list of models")
        self.roll_back.setToolTip(f"Go back to '{trial.parent.stem}' and its labels; corrections stay")


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


def _effort() -> QSpinBox:
    field = FineTuneParams.model_fields["seconds"]
    spin = QSpinBox(objectName="effort")
    spin.setRange(5, 3600)
    spin.setSingleStep(30)
    spin.setSuffix(" s")
    spin.setValue(int(field.default))
    spin.setToolTip(field.description or "")
    return spin
