from pathlib import Path

import pytest

from napari_unet.core.base.card import ModelCard
from napari_unet.core.base.params import NetworkParams
from napari_unet.models.lineage import (
    UNKNOWN,
    Version,
    describe_change,
    describe_changes,
    find_children,
    sort_by_descent,
    tabulate,
    trace_ancestry,
)
from napari_unet.models.registry import ModelEntry

SCORES = {"mean_iou": 0.5, "dice": 0.6, "objects": 9, "matched": 5, "missed": 3, "false": 2, "split": 1}


def scores(ap50, missed):
    return {**SCORES, "ap": {"0.50": ap50, "0.75": ap50 / 2}, "missed": missed, "merged": 0}


def version(name, parent=None, **card):
    whole = ModelCard(name=name, network=NetworkParams(), outputs=("foreground",), parent=parent, **card)
    return Version(ModelEntry(whole, Path(f"{name}.keras"), bundled=False), sha256=name[0] * 64)


FAMILY = [
    version("Apart"),
    version("child", "r" * 64),
    version("grandchild", "c" * 64),
    version("orphan", "0" * 64),
    version("root"),
    version("second child", "r" * 64),
]


def test_ancestry_goes_from_the_parent_to_the_first_model():
    assert [a.name for a in trace_ancestry(FAMILY[2].card, FAMILY)] == ["child", "root"]
    assert trace_ancestry(FAMILY[4].card, FAMILY) == []


def test_a_parent_that_is_gone_is_known_by_its_hash():
    (ancestor,) = trace_ancestry(FAMILY[3].card, FAMILY)
    assert ancestor.name is None
    assert ancestor.sha256 == "0" * 64
    assert str(ancestor) == "000000000000…"
    without_child = [v for v in FAMILY if v.card.name != "child"]
    assert [a.name for a in trace_ancestry(FAMILY[2].card, without_child)] == [None]


def test_children_follow_their_parent_and_nobody_is_lost():
    order = [(v.card.name, generation) for v, generation in sort_by_descent(FAMILY)]
    assert order == [
        ("Apart", 0),
        ("orphan", 0),
        ("root", 0),
        ("child", 1),
        ("grandchild", 2),
        ("second child", 1),
    ]
    assert [v.card.name for v in find_children("r" * 64, FAMILY)] == ["child", "second child"]


def test_copies_of_a_file_are_all_there():
    copy = version("root again")
    family = [*FAMILY, copy]
    names = [v.card.name for v, _ in sort_by_descent(family)]
    assert sorted(names) == sorted(v.card.name for v in family)


def test_a_fine_tuned_model_says_what_it_learnt_from_and_what_that_brought():
    tuned = version(
        "tuned",
        "r" * 64,
        title="Yeast",
        training={
            "fine_tuned_on": {"images": 2, "reviewed_cells": 31, "reviewed_pixels": 40960},
            "steps": 120,
            "seconds": 58.4,
        },
        scores={
            "held_out": {"before": scores(0.5, 7), "after": scores(0.8, 3)},
            "known": {"before": 0.96, "after": 0.9},
        },
    )
    rows = tabulate(describe_change(tuned, [*FAMILY, tuned]))
    assert rows["Segments"] == "Yeast"
    assert rows["Parent"] == "root"
    assert rows["Cells learnt from"] == "31"
    assert rows["Reviewed pixels"] == "40\u202f960"
    assert rows["Steps"] == "120"
    assert rows["Duration"] == "58 s"
    assert rows["Found (AP at IoU 0.5)"] == "0.50 → 0.80"
    assert rows["Missed cells"] == "7 → 3"
    assert rows["Held-out cells"] == "9"
    assert rows["On images the parent knows (AP)"] == "0.96 → 0.90"


def test_a_trained_model_has_scores_of_its_own_only():
    trained = version(
        "trained",
        training={"images": 40, "cells": 900, "recipe": {"steps": 2000}},
        scores={"validation": scores(0.8, 3)},
    )
    rows = tabulate(describe_change(trained, [trained]))
    assert rows["Parent"] == UNKNOWN
    assert rows["Cells learnt from"] == "900"
    assert rows["Steps"] == "2\u202f000"
    assert rows["Found (AP at IoU 0.5)"] == "0.80"


@pytest.mark.parametrize(
    ("training", "found"),
    [
        ({}, {}),
        ({"fine_tuned_on": "all", "steps": "many", "seconds": None}, {"held_out": "good"}),
        (
            {"fine_tuned_on": {"images": [1]}, "recipe": 3},
            {"held_out": {"before": None, "after": {"ap": {}}}},
        ),
        ({}, {"validation": {**scores(0.5, 1), "ap": {}}}),
        ({}, {"known": {"before": 0.9, "after": "less"}}),
    ],
)
def test_cards_from_elsewhere_may_tell_nothing(training, found):
    strange = version("x", created="long ago", training=training, scores=found)
    rows = tabulate(describe_change(strange, [strange]))
    assert rows.pop("Made") == "long ago"
    assert set(rows.values()) == {UNKNOWN}


def test_all_models_have_the_same_rows():
    tables = [tabulate(change) for change in describe_changes(FAMILY)]
    assert len(tables) == len(FAMILY)
    assert len({tuple(table) for table in tables}) == 1
