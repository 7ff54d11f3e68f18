"""What the user is told in each state of the work, without a window."""

from dataclasses import replace

import pytest

from napari_unet.core.learning import FEWEST_CELLS, Verdict
from napari_unet.core.review import Place, Reason, ReviewCounts
from napari_unet.ui.guide.advice import OUTLINES, Stop, Work, advise

FRESH = ReviewCounts(
    changed_cells=0,
    reviewed_pixels=0,
    total_pixels=1000,
    cells=30,
    reviewed_cells=0,
    accepted_cells=0,
    predicted_cells=30,
)
SEGMENTED = Work(is_segmented=True, counts=FRESH)
CORRECTED = replace(
    SEGMENTED, counts=replace(FRESH, changed_cells=5, reviewed_pixels=80, reviewed_cells=5), reviewed_cells=5
)
REVIEWED = replace(CORRECTED, counts=replace(FRESH, reviewed_pixels=1000, reviewed_cells=30))
STRANGE = replace(SEGMENTED, counts=replace(FRESH, cells=0, predicted_cells=0), knows_cells=False)
PLACE = Place((), ((0, 9), (0, 9)), 3, 0.5, Reason.FAINT)

STATES = [
    (Work(busy=True), "", ""),
    (Work(has_model=False), "install the package", ""),
    (Work(has_image=False), "open an image", "open"),
    (Work(broken_axes=True), "mend the axes", ""),
    (Work(), "press Segment", "segment"),
    (Work(is_large=True), "zoom in", "segment"),
    (SEGMENTED, "press Next to fix", "next_to_fix"),
    (replace(CORRECTED, reviewed_cells=FEWEST_CELLS - 1), "1 more cell to have", "next_to_fix"),
    (replace(CORRECTED, reviewed_cells=FEWEST_CELLS - 2), "2 more cells to have", "next_to_fix"),
    (CORRECTED, "press Fine-tune", "fine_tune"),
    (replace(CORRECTED, reviewed_cells=None), "press Fine-tune", "fine_tune"),
    (replace(CORRECTED, learnt=True), "open another image", "open"),
    (replace(SEGMENTED, learnt=True), "press Next to fix", "next_to_fix"),
    (REVIEWED, "All of this image is reviewed. Next: press Fine-tune.", "fine_tune"),
    (replace(REVIEWED, reviewed_cells=3), "open another image; you need 1 more cell", "open"),
    (replace(REVIEWED, stop=Stop(None)), "press Fine-tune", "fine_tune"),
    (replace(CORRECTED, verdict=Verdict.BETTER), "Keep or Roll back", "keep"),
    (replace(CORRECTED, verdict=Verdict.UNTESTED), "compare the two", "compare"),
    (replace(CORRECTED, verdict=Verdict.UNCHANGED), "go on correcting", "next_to_fix"),
    (replace(CORRECTED, verdict=Verdict.WORSE), "press Fine-tune", "fine_tune"),
    (replace(STRANGE, searching=True), "Looking", ""),
    (replace(STRANGE, better="blobs"), "press Use blobs", "use_better"),
    (STRANGE, "outline about 10", "draw"),
    (replace(STRANGE, reviewed_cells=3), "7 more outlines to learn from", "draw"),
    (replace(STRANGE, reviewed_cells=OUTLINES - 1), "1 more outline to learn from", "draw"),
    (replace(STRANGE, reviewed_cells=OUTLINES), "enough to learn from", "fine_tune"),
    (replace(STRANGE, stop=Stop(PLACE)), "outline about 10", "draw"),
    (replace(STRANGE, counts=REVIEWED.counts, reviewed_cells=30, learnt=True), "open another image", "open"),
    (replace(SEGMENTED, stop=Stop(PLACE, coming=2)), "R if it is right, D deletes it.\n2 others are", ""),
    (replace(SEGMENTED, stop=Stop(PLACE, in_sight=False, coming=2)), "You have moved on", "next_to_fix"),
    (replace(SEGMENTED, stop=Stop(None, coming=1)), "Done. 1 other is", "next_to_fix"),
    (replace(CORRECTED, stop=Stop(None, passed=1)), "All seen. Next: press Fine-tune", "fine_tune"),
    (replace(SEGMENTED, stop=Stop(None, passed=1)), "You have seen them all", ""),
    (replace(CORRECTED, stop=Stop(None)), "Nothing else is worth a look", "fine_tune"),
    (replace(SEGMENTED, stop=Stop(None)), "Nothing looks wrong. Go on to another image", "open"),
]


@pytest.mark.parametrize(("work", "sentence", "button"), STATES)
def test_each_state_of_the_work_has_a_sentence_and_a_button(work, sentence, button):
    advice = advise(work)
    assert sentence in advice.sentence
    assert bool(sentence) == bool(advice.sentence)
    assert advice.button == button
