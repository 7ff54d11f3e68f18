import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_unet.core.blocks import read_boxes
from napari_unet.core.tiling import halve_tile, mirror_indices, plan_tiles, read_tile, stitch

sizes = st.integers(1, 300)


@given(
    height=sizes,
    width=sizes,
    core=st.integers(4, 128),
    halo=st.integers(0, 8),
    step=st.sampled_from([1, 2, 4]),
)
def test_kept_parts_cover_every_pixel_once(height, width, core, halo, step):
    plan = plan_tiles((height, width), core=core, halo=(halo, halo), multiple=step)
    count = np.zeros((height, width), int)
    for tile in plan.tiles:
        (top, bottom), (left, right) = tile.keep
        count[top:bottom, left:right] += 1
        assert all(
            stop - start == side for (start, stop), side in zip(tile.read, plan.tile_shape, strict=True)
        )
        assert all((keep[0] - read[0]) == halo for keep, read in zip(tile.keep, tile.read, strict=True))
        assert all((read[0] + halo) % step == 0 for read in tile.read)
    assert (count == 1).all()


@given(height=sizes, width=sizes, core=st.integers(8, 128))
def test_stitched_local_filter_equals_the_filter_on_the_whole_image(height, width, core):
    image = np.random.default_rng(0).random((height, width, 1), np.float32)
    halo = 2
    plan = plan_tiles((height, width), core=core, halo=(halo, halo), multiple=2)

    def blur(pixels):  # a 5 x 5 mean, without any padding
        windows = np.lib.stride_tricks.sliding_window_view(pixels[..., 0], (5, 5))
        return windows.mean((-1, -2))[..., None]

    parts = []
    for tile in plan.tiles:
        (top, bottom), (left, right) = tile.keep
        parts.append(
            (tile, blur(read_tile(read_boxes(image), plan.shape, tile))[: bottom - top, : right - left])
        )
    stitched = stitch(plan.shape, parts, 1)
    whole = image[np.ix_(mirror_indices((-2, height + 2), height), mirror_indices((-2, width + 2), width))]
    np.testing.assert_allclose(stitched, blur(whole), rtol=1e-5)


@given(size=st.integers(2, 40), before=st.integers(0, 100), after=st.integers(0, 100))
def test_mirroring_is_numpys_reflection(size, before, after):
    expected = np.pad(np.arange(size), (before, after), mode="reflect")
    np.testing.assert_array_equal(mirror_indices((-before, size + after), size), expected)


def test_tiles_are_evened_out_instead_of_leaving_a_sliver():
    plan = plan_tiles((520, 696), core=512, halo=(16, 16), multiple=16)
    assert plan.tile_shape == (272 + 32, 352 + 32)


def test_a_core_below_the_pooling_step_is_refused():
    with pytest.raises(ValueError, match="pooling step"):
        plan_tiles((64, 64), core=8, halo=(0, 0), multiple=16)


@given(height=sizes, width=sizes, halo=st.integers(0, 8), step=st.sampled_from([1, 2, 4]))
def test_halved_tiles_keep_the_same_pixels_on_the_same_grid(height, width, halo, step):
    plan = plan_tiles((height, width), core=64, halo=(halo, halo), multiple=step)
    halves = [half for tile in plan.tiles for half in halve_tile(tile, plan.halo, step)]
    if max(plan.tile_shape) - 2 * halo == step:
        assert halves == []
        return
    count = np.zeros((height, width), int)
    for half in halves:
        (top, bottom), (left, right) = half.keep
        count[top:bottom, left:right] += 1
        assert bottom > top
        assert right > left
        for keep, read in zip(half.keep, half.read, strict=True):
            assert keep[0] - read[0] == halo
            assert keep[0] % step == (read[1] - read[0] - 2 * halo) % step == 0
            assert keep[1] <= read[1] - halo
    assert (count == 1).all()
