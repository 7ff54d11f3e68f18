"""Step 2: how far the corrections are, and marking what is right."""

from __future__ import annotations

from qtpy.QtWidgets import QCheckBox, QGroupBox, QHBoxLayout, QLabel, QPushButton, QVBoxLayout

from napari_unet.app.opened import OpenImage
from napari_unet.core.corrections import ReviewCounts

TOOLS = " · ".join(
    # No line may end within one of them.
    tool.replace(" ", "\N{NO-BREAK SPACE}")
    for tool in ("Erase 1", "Paint 2", "Fill 4", "Pick 5", "New cell M", "Undo Ctrl-Z")
)


class CorrectStep(QGroupBox):
    """The controls of step 2; napari's own tools do the correcting."""

    def __init__(self) -> None:
        super().__init__("2  Correct")
        self.counts = QLabel(objectName="counts")
        self.counts.setWordWrap(True)
        self.counts.setToolTip(
            "Corrected: cells you painted, erased or deleted. Reviewed: corrected or marked as right; "
            "that is what the network learns from and what keeps its labels"
        )
        self.mark = QPushButton("Mark view as reviewed", objectName="mark_reviewed")
        self.mark.setToolTip("Everything you see now is right, background included (Shift-R)")
        self.unmark = QPushButton("Unmark", objectName="unmark")
        self.unmark.setToolTip("Take the mark off what you see now; your corrections stay")
        self.show_reviewed = QCheckBox("Show reviewed", objectName="show_reviewed")
        self.show_reviewed.setToolTip("Tint what was corrected or marked: only that teaches the network")
        self.saved = QLabel(objectName="saved")
        tools = QLabel(TOOLS, objectName="tools")
        tools.setWordWrap(True)
        tools.setToolTip("napari's tools and keys, for the labels layer: click into the image first")
        buttons = QHBoxLayout()
        buttons.addWidget(self.mark, 1)
        buttons.addWidget(self.unmark)
        below = QHBoxLayout()
        below.addWidget(self.show_reviewed)
        below.addStretch()
        below.addWidget(self.saved)
        layout = QVBoxLayout(self)
        layout.addWidget(self.counts)
        layout.addWidget(tools)
        layout.addLayout(buttons)
        layout.addLayout(below)

    def show_image(self, image: OpenImage | None) -> None:
        """Show how far the corrections of an image are and whether they are saved."""
        reviewing = image is not None and image.review is not None
        self.mark.setEnabled(reviewing)
        self.unmark.setEnabled(reviewing)
        self.show_reviewed.setEnabled(reviewing)
        counts = image.counts if image is not None and reviewing else None
        self.counts.setText(describe_counts(counts) if counts else "Segment an image first.")
        self.saved.setText(describe_saving(image) if image is not None and reviewing else "")
        self.saved.setToolTip(image.save_error if image is not None else "")


def describe_counts(counts: ReviewCounts) -> str:
    """Return how far a review is, in one line; cells that are gone were corrected, too."""
    corrected = f"{counts.changed_cells} cell{'s' * (counts.changed_cells != 1)} corrected"
    percent = 100 * counts.reviewed_fraction
    share = f"{percent:.0f}" if percent >= 1 or percent == 0 else f"{percent:.1g}"
    return f"{corrected}, {counts.reviewed_cells} of {counts.cells} cells reviewed ({share} % of pixels)"


def describe_saving(image: OpenImage) -> str:
    """Return whether all corrections are on the disk, in a few words."""
    if image.save_error:
        return "not saved"
    return "saving…" if image.unsaved else "saved"
