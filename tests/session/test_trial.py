import pytest

from napari_unet.core.cells.metrics import Scores
from napari_unet.core.learning.holdout import Verdict
from napari_unet.session import explain_known, explain_verdict


def scores(matched, false=0):
    counts = {"missed": 34 - matched, "false": false, "split": 0, "merged": 0}
    return Scores(ap={"0.50": 0.5}, mean_iou=0.5, dice=0.5, objects=34, matched=matched, **counts)


@pytest.mark.parametrize(
    ("verdict", "says"),
    [
        (Verdict.BETTER, "The new model finds 31 of 34 cells that it was not shown; the old one found 22."),
        (Verdict.WORSE, "The old one stays in use."),
        (Verdict.AS_GOOD, "It is no better than the old one."),
        (Verdict.UNCHANGED, "Nothing changed"),
        (Verdict.UNTESTED, "too few corrections"),
    ],
)
def test_each_verdict_has_a_sentence_of_its_own(verdict, says):
    compared = (None, None) if verdict is Verdict.UNTESTED else (scores(22), scores(31))
    assert says in explain_verdict(verdict, *compared)


def test_how_much_of_what_was_learnt_is_kept_is_said():
    said = explain_verdict(Verdict.AS_GOOD, scores(30), scores(30), share=0.5)
    assert said.startswith("With half of what it learnt, the new model finds 30 of 34 cells")


@pytest.mark.parametrize(
    ("verdict", "before", "after", "says"),
    [
        (Verdict.BETTER, scores(30, 9), scores(30, 2), "It draws 2 false cells; the old one drew 9."),
        (Verdict.BETTER, scores(30), scores(30), "as many as the old one. Its outlines are better."),
        (Verdict.WORSE, scores(30, 1), scores(31, 7), "It draws 7 false cells; the old one drew 1."),
        (Verdict.WORSE, scores(30), scores(30), "as many as the old one. Its outlines are worse."),
    ],
)
def test_where_the_count_does_not_decide_the_sentence_says_what_does(verdict, before, after, says):
    assert says in explain_verdict(verdict, before, after)


def test_what_was_lost_is_a_fact_and_the_old_model_stays():
    assert explain_known(0.96, 0.9).endswith("AP 0.96 → 0.90. The old model stays in your list.")
    assert explain_known(0.96, 0.96).endswith("AP 0.96 → 0.96.")
    assert explain_known(None, None) == ""
