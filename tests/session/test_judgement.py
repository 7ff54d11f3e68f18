import pytest

from napari_unet.core.cells.metrics import Scores
from napari_unet.core.learning.holdout import Verdict
from napari_unet.session.judgement import explain_known, explain_verdict


def scores(ap):
    counts = dict.fromkeys(("missed", "false", "split", "merged"), 0)
    return Scores(ap={"0.50": ap}, mean_iou=ap, dice=ap, objects=12, matched=9, **counts)


@pytest.mark.parametrize(
    ("verdict", "says"),
    [
        (Verdict.BETTER, "The new model is better on held-out corrections (mean AP 0.30 before, 0.50 after"),
        (Verdict.WORSE, "the old one stays in use"),
        (Verdict.UNCHANGED, "Nothing changed"),
        (Verdict.UNTESTED, "too few corrections"),
    ],
)
def test_each_verdict_has_a_sentence_of_its_own(verdict, says):
    compared = (None, None) if verdict is Verdict.UNTESTED else (scores(0.3), scores(0.5))
    assert says in explain_verdict(verdict, *compared)


def test_how_much_of_what_was_learnt_is_kept_is_said():
    said = explain_verdict(Verdict.AS_GOOD, scores(0.5), scores(0.5), share=0.5)
    assert said.startswith("With half of what it learnt, the new model is about as good")


def test_what_was_lost_is_a_fact_and_the_old_model_stays():
    assert explain_known(0.96, 0.9).endswith("AP 0.96 → 0.90. The old model stays in your list.")
    assert explain_known(0.96, 0.96).endswith("AP 0.96 → 0.96.")
    assert explain_known(None, None) == ""
