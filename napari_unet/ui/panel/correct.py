"""Step 2: how far the corrections are, and marking what is right."""

from __future__ import annotations

from functools import partial

from qtpy.QtCore import Qt
from qtpy.QtGui import QShowEvent
from qtpy.QtWidgets import QCheckBox, QGridLayout, QGroupBox, QHBoxLayout, QLabel, QPushButton, QVBoxLayout
from superqt.utils import signals_blocked

from napari_unet.core.review import ReviewCounts
from napari_unet.session import OpenImage
from napari_unet.ui.canvas import ACCEPT, TOOLS, Canvas, Tool

COLUMNS = 4
_WIDE = 4096  # px, wider than any of our sentences
NAPARI_TOOLS = " · ".join(
    # No line may end within one of them.
    tool.replace(" ", "\N{NO-BREAK SPACE}")
    for tool in ("Erase 1", "Paint 2", "Fill 4", "Pick 5", "New cell M", "Undo Ctrl-Z")
)


class CorrectStep(QGroupBox):
    """The controls of step 2: our tools, what to do with the one that is armed, and what is reviewed."""

    def __init__(self, canvas: Canvas) -> None:
        super().__init__("2  Correct")
        self._canvas = canvas
        self.counts = QLabel(objectName="counts")
        self.counts.setWordWrap(True)
        self.counts.setToolTip(
            "Corrected: cells you changed, drew or deleted. Accepted: cells you marked as right as they are. "
            "The network learns from these pixels only, and they keep their labels"
        )
        self.mark = QPushButton("Mark view as reviewed", objectName="mark_reviewed")
        self.mark.setToolTip("Everything you see now is right, background included (Shift-R)")
        self.unmark = QPushButton("Unmark", objectName="unmark")
        self.unmark.setToolTip("Take the mark off what you see now; your corrections stay")
        self.next_to_fix = QPushButton("Next to fix", objectName="next_to_fix")
        self.next_to_fix.setToolTip(
            "Go to the cell that is most likely wrong; correct or accept it, then press again (Shift-N)"
        )
        self.next_to_fix.setFocusPolicy(Qt.FocusPolicy.NoFocus)  # the keys go on to the image
        self.take = _answer("Take suggestion  T", "take", "Make the cells as outlined, and go on (T)")
        self.accept_place = _answer(
            "Right as it is  R", "accept_place", "Accept what is shown, and go on (R)"
        )
        self.show_reviewed = QCheckBox("Show reviewed", objectName="show_reviewed")
        self.show_reviewed.setToolTip("Tint what was corrected or marked: only that teaches the network")
        self.saved = QLabel(objectName="saved")
        self.armed = ""
        self.tools = {tool.name: _button(tool) for tool in TOOLS}
        self.hint = QLabel(NAPARI_TOOLS, objectName="tools")
        self.hint.setWordWrap(True)
        self.hint.setAlignment(Qt.AlignmentFlag.AlignTop)
        grid = QGridLayout()
        grid.setSpacing(4)
        for at, (name, button) in enumerate(self.tools.items()):
            grid.addWidget(button, *divmod(at, COLUMNS))
            button.clicked.connect(partial(self._toggle, name))
        buttons = QHBoxLayout()
        buttons.addWidget(self.mark, 1)
        buttons.addWidget(self.unmark)
        below = QHBoxLayout()
        below.addWidget(self.show_reviewed)
        below.addStretch()
        below.addWidget(self.saved)
        layout = QVBoxLayout(self)
        layout.addWidget(self.counts)
        layout.addWidget(self.next_to_fix)
        answers = QHBoxLayout()
        answers.addWidget(self.take)
        answers.addWidget(self.accept_place)
        layout.addLayout(answers)
        layout.addLayout(grid)
        layout.addWidget(self.hint)
        layout.addLayout(buttons)
        layout.addLayout(below)
        self._connect()

    def _connect(self) -> None:
        canvas, images = self._canvas, self._canvas.session.images
        canvas.tools.changed.connect(self._show_tool)
        self.next_to_fix.clicked.connect(canvas.walk.visit_next)
        self.take.clicked.connect(canvas.walk.take)
        self.accept_place.clicked.connect(canvas.walk.accept)
        self.mark.clicked.connect(lambda: canvas.change_view(images.mark_reviewed))
        self.unmark.clicked.connect(lambda: canvas.change_view(images.unmark))
        self.show_reviewed.toggled.connect(canvas.show_reviewed)

    def refresh(self) -> None:
        """Show how far the corrections of the image are and whether they are saved."""
        image = self._canvas.image
        reviewing = image is not None and image.review is not None
        self.next_to_fix.setEnabled(reviewing)
        place = image.open_place if image is not None else None
        self.accept_place.setEnabled(place is not None)
        self.take.setEnabled(place is not None and place.suggestion is not None)
        self.mark.setEnabled(reviewing)
        self.unmark.setEnabled(reviewing)
        self.show_reviewed.setEnabled(reviewing)
        for button in self.tools.values():
            button.setEnabled(reviewing)
        counts = image.counts if image is not None and reviewing else None
        self.counts.setText(describe_counts(counts) if counts else "Segment an image first.")
        self.show_reviewed.setText(f"Show reviewed ({describe_share(counts)})" if counts else "Show reviewed")
        self.saved.setText(describe_saving(image) if image is not None and reviewing else "")
        self.saved.setToolTip(image.save_error if image is not None else "")
        if reviewing and self._canvas.overlay.layer is None:
            with signals_blocked(self.show_reviewed):  # the user has removed the layer
                self.show_reviewed.setChecked(False)

    def _show_tool(self, name: str, hint: str) -> None:
        """Show which tool is armed and what to do with it; accepting shows what is accepted."""
        if name == ACCEPT.name and self.armed != name:
            self.show_reviewed.setChecked(True)
        self.armed = name
        for tool, button in self.tools.items():
            button.setChecked(tool == name)
        self.hint.setText(hint or NAPARI_TOOLS)

    def showEvent(self, event: QShowEvent | None) -> None:  # noqa: N802 - Qt's name
        """Keep room for two lines of what to do: the buttons must not jump under the mouse."""
        one_line = self.hint.heightForWidth(_WIDE)
        self.hint.setMinimumHeight(one_line + self.hint.fontMetrics().lineSpacing() + 2)
        super().showEvent(event)

    def _toggle(self, name: str, *_: object) -> None:
        self._canvas.tools.toggle(name)


def _button(tool: Tool) -> QPushButton:
    button = QPushButton(f"{tool.text}  {tool.key}", objectName=tool.name, checkable=True)
    button.setToolTip(f"{tool.hint} (key {tool.key} in the image; Escape ends)")
    button.setStyleSheet("padding: 4px 1px")  # four of them fit side by side in a narrow dock
    button.setFocusPolicy(Qt.FocusPolicy.NoFocus)  # the keys go on to the image
    return button


def _answer(text: str, name: str, tip: str) -> QPushButton:
    button = QPushButton(text, objectName=name)
    button.setToolTip(tip)
    button.setFocusPolicy(Qt.FocusPolicy.NoFocus)  # the keys go on to the image
    return button


def describe_counts(counts: ReviewCounts) -> str:
    """Return how far a review is, in one line; cells that are gone were corrected, too."""
    cells = f"{counts.cells} cell{'s' * (counts.cells != 1)}"
    return f"{counts.changed_cells} corrected, {counts.accepted_cells} accepted of {cells}"


def describe_share(counts: ReviewCounts) -> str:
    """Return how much of the image is reviewed."""
    percent = 100 * counts.reviewed_fraction
    return f"{percent:.0f} %" if percent >= 1 or percent == 0 else f"{percent:.1g} %"


def describe_saving(image: OpenImage) -> str:
    """Return whether all corrections are on the disk, in a few words."""
    if image.save_error:
        return "not saved"
    return "saving…" if image.unsaved else "saved"
