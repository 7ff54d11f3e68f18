import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from napari_unet.core.image.blocks import read_boxes
from napari_unet.core.image.tiling import (
    clip_tile,
    count_read,
    halve_tile,
    mirror_indices,
    plan_tiles,
    read_tile,
    stitch,
)

sizes = st.integers(1, 300)


@given(
    height=sizes,
    width=sizes,
    area=st.integers(16, 20000),
    halo=st.integers(0, 8),
    step=st.sampled_from([1, 2, 4]),
)
def test_kept_parts_cover_every_pixel_once(height, width, area, halo, step):
    plan = plan_tiles((height, width), area=area, halo=(halo, halo), multiple=step, border=3)
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


@given(height=sizes, width=sizes, area=st.integers(400, 20000))
def test_stitched_local_filter_equals_the_filter_on_the_whole_image(height, width, area):
    image = np.random.default_rng(0).random((height, width, 1), np.float32)
    halo = 2
    plan = plan_tiles((height, width), area=area, halo=(halo, halo), multiple=2, border=halo)

    def blur(pixels):  # a 5 x 5 mean, without any padding
        windows = np.lib.stride_tricks.sliding_window_view(pixels[..., 0], (5, 5))
        return windows.mean((-1, -2))[..., None]

    parts = []
    for tile in plan.tiles:
        (top, bottom), (left, right) = tile.keep
        parts.append(
            (tile, blur(read_tile(read_boxes(image), plan.shape, tile))[: bottom - top, : right - left])
        )
    stitched = stitch(((0, height), (0, width)), parts, 1)
    whole = image[np.ix_(mirror_indices((-2, height + 2), height), mirror_indices((-2, width + 2), width))]
    np.testing.assert_allclose(stitched, blur(whole), rtol=1e-5)


@given(size=st.integers(2, 40), before=st.integers(0, 100), after=st.integers(0, 100))
def test_mirroring_is_numpys_reflection(size, before, after):
    expected = np.pad(np.arange(size), (before, after), mode="reflect")
    np.testing.assert_array_equal(mirror_indices((-before, size + after), size), expected)


def test_tiles_are_evened_out_instead_of_leaving_a_sliver():
    plan = plan_tiles((520, 696), area=400 * 500, halo=(16, 16), multiple=16, border=16)
    assert len({tile.keep[1][1] - tile.keep[1][0] for tile in plan.tiles[:1]}) == 1
    heights = [tile.keep[0][1] - tile.keep[0][0] for tile in plan.tiles]
    assert min(heights) > 0.9 * max(heights)


@given(height=sizes, width=sizes, area=st.integers(400, 20000))
def test_no_plan_of_equal_tiles_reads_less(height, width, area):
    halo, step, border = 8, 4, 4

    def count(rows, columns):
        sides = [-(-size // (n * step)) * step for size, n in ((height, rows), (width, columns))]
        most, total = 1, 1
        for size, side in zip((height, width), sides, strict=True):
            most *= min(side + 2 * halo, size + 2 * border)
            total *= size + 2 * border + (-(-size // side) - 1) * 2 * halo
        return total if most <= area else np.inf

    best = min(count(rows, columns) for rows in range(1, 76) for columns in range(1, 76))
    plan = plan_tiles((height, width), area=area, halo=(halo, halo), multiple=step, border=border)
    assert count_read(plan, border=border, multiple=1) <= best


def test_an_image_that_fits_is_one_tile_with_no_more_than_its_border():
    plan = plan_tiles((2048, 2048), area=2200**2, halo=(96, 96), multiple=16, border=32)
    assert len(plan.tiles) == 1
    assert count_read(plan, border=32, multiple=16) == (2048 + 64) ** 2


@given(height=sizes, width=sizes, area=st.integers(16, 20000))
def test_clipped_tiles_still_hold_what_they_keep(height, width, area):
    plan = plan_tiles((height, width), area=area, halo=(8, 8), multiple=4, border=4)
    for tile in plan.tiles:
        clipped = clip_tile(tile, plan.shape, border=4, multiple=4)
        for (start, stop), (first, last), size in zip(clipped.read, tile.keep, plan.shape, strict=True):
            assert -4 <= start <= first
            assert last <= stop <= size + 3 + 4
            assert (stop - start) % 4 == start % 4 == 0


@given(height=sizes, width=sizes, halo=st.integers(0, 8), step=st.sampled_from([1, 2, 4]))
def test_halved_tiles_keep_the_same_pixels_on_the_same_grid(height, width, halo, step):
    plan = plan_tiles((height, width), area=64 * 64, halo=(halo, halo), multiple=step, border=halo)
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
