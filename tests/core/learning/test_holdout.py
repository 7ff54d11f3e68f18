import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from napari_unet.core.cells.metrics import evaluate
from napari_unet.core.learning.holdout import Verdict, draw_the_same, judge, score_reviewed, split_corrections


def grid_of_cells(count, size=20, gap=6):
    side = count * (size + gap)
    labels = np.zeros((side, side), np.int32)
    for i in range(count):
        for j in range(count):
            top, left = i * (size + gap) + gap // 2, j * (size + gap) + gap // 2
            labels[top : top + size, left : left + size] = i * count + j + 1
    return labels


@given(seed=st.integers(0, 100), share=st.sampled_from([0.1, 0.25, 0.5]), holes=st.integers(0, 3))
def test_every_reviewed_pixel_teaches_or_proves_and_cells_stay_whole(seed, share, holes):
    labels = grid_of_cells(6)
    reviewed = np.ones(labels.shape, bool)
    reviewed[: holes * 30] = False
    [learn], [prove] = split_corrections([labels], [reviewed], held_out=share, cell_size=20, seed=seed)
    np.testing.assert_array_equal(learn | prove, reviewed)
    assert not (learn & prove).any()
    proving = set(labels[prove & (labels > 0)])
    assert not proving & set(labels[learn & (labels > 0)])
    held = len(proving) / len(set(labels[reviewed & (labels > 0)]))
    assert 0 < held <= max(2 * share, 0.6)


def test_too_few_corrections_all_teach():
    labels = grid_of_cells(1)
    reviewed = labels > 0
    [learn], [prove] = split_corrections([labels], [reviewed], held_out=0.25, cell_size=20, seed=0)
    np.testing.assert_array_equal(learn, reviewed)
    assert not prove.any()


def test_whole_images_may_be_held_out_of_several():
    images = [grid_of_cells(2) for _ in range(8)]
    masks = [np.ones(image.shape, bool) for image in images]
    learn, prove = split_corrections(images, masks, held_out=0.25, cell_size=60, seed=1)
    assert sum(mask.any() for mask in prove) >= 1
    assert sum(mask.any() for mask in learn) >= 4


def test_only_reviewed_pixels_are_scored():
    labels = grid_of_cells(4)
    reviewed = np.zeros(labels.shape, bool)
    reviewed[:52] = True
    wrong_elsewhere = labels.copy()
    wrong_elsewhere[52:] = 99
    scores = score_reviewed([wrong_elsewhere], [labels], [reviewed])
    assert scores.ap50 == 1
    assert scores.objects == 8
    assert score_reviewed([labels], [labels], [labels == 0]) is None


def test_only_eligible_images_prove():
    images = [grid_of_cells(3) for _ in range(4)]
    masks = [np.ones(image.shape, bool) for image in images]
    learn, prove = split_corrections(images, masks, held_out=0.25, cell_size=20, seed=0, eligible=[2])
    assert [bool(mask.any()) for mask in prove] == [False, False, True, False]
    assert all(mask.all() for number, mask in enumerate(learn) if number != 2)
    assert len(set(images[2][prove[2]]) - {0}) >= 6


def test_a_model_is_judged_by_held_out_corrections_alone():
    truth = grid_of_cells(4)
    better, worse = evaluate(truth, truth), evaluate(np.where(truth < 9, truth, 0), truth)
    assert judge(worse, better) is Verdict.BETTER
    assert judge(better, better) is Verdict.AS_GOOD
    assert judge(better, worse) is Verdict.WORSE
    assert judge(better, better, unchanged=True) is Verdict.UNCHANGED
    assert judge(None, None) is Verdict.UNTESTED
    assert [verdict for verdict in Verdict if verdict.is_proven] == [Verdict.BETTER, Verdict.AS_GOOD]


def test_half_a_cell_less_is_no_proof_against_a_model():
    truth = grid_of_cells(4)
    perfect = evaluate(truth, truth)
    off = perfect.model_copy(update={"ap": {**perfect.ap, "0.85": 0.9, "0.90": 0.9}})
    assert judge(perfect, off) is Verdict.AS_GOOD
    one_missed = evaluate(np.where(truth == 1, 0, truth), truth)
    assert judge(perfect, one_missed) is Verdict.WORSE


def test_the_same_cells_under_other_numbers_are_the_same():
    cells, empty = grid_of_cells(3), np.zeros((78, 78), np.int32)
    renumbered = np.where(cells > 0, 10 - cells, 0).astype(np.int32)
    assert draw_the_same([cells, empty], [renumbered, empty])
    assert not draw_the_same([cells], [np.where(cells == 1, 0, cells)])
    assert not draw_the_same([empty], [cells])
    assert not draw_the_same([cells], [np.roll(cells, 3, 0)])
