import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy import ndimage

from napari_unet.core.base.params import OUTPUT_MAPS, InstanceParams
from napari_unet.core.cells.blockwise import BlockPlane, label_blocks
from napari_unet.core.cells.instances import label_instances, smallest_area
from napari_unet.core.image.blocks import read_boxes

OUTPUTS = [OUTPUT_MAPS, ("foreground", "distance"), ("foreground", "border"), ("foreground",)]
SIZE = 6.0


def noise(rng, shape, sigma, steps=0):
    """Smooth noise from 0 to 1, in a few steps if wanted: then whole regions are equally high."""
    field = ndimage.gaussian_filter(rng.normal(size=shape), sigma)
    field = (field - field.min()) / (np.ptp(field) or 1)
    return (np.round(field * steps) / steps if steps else field).astype(np.float32)


def draw_maps(seed, shape, outputs, steps=0):
    """Maps (Y, X, maps) of tissue: clumps across the whole plane, with holes, and cores of any form."""
    rng = np.random.default_rng(seed)
    foreground = np.clip(noise(rng, shape, rng.choice([1, 2, 4])) * rng.uniform(0.8, 1.6), 0, 1)
    named = {
        "foreground": foreground,
        "border": noise(rng, shape, 2),
        "distance": noise(rng, shape, rng.choice([1, 3, 5]), steps),
    }
    return np.stack([named[name] for name in outputs], -1)


def label(maps, outputs, params, **options):
    shape = maps.shape[:2]
    scratch, depth = np.zeros(shape, np.int32), np.zeros(shape)
    plane = BlockPlane(
        shape=shape,
        read=read_boxes(maps),
        outputs=outputs,
        params=params,
        scratch=scratch,
        depth=depth,
        **options,
    )
    labels = np.zeros(shape, np.int32)
    count = label_blocks(plane, labels, smallest_area(params, SIZE))
    assert count == labels.max()
    return labels


@settings(deadline=None, max_examples=150)
@given(
    height=st.integers(1, 90),
    width=st.integers(1, 90),
    block=st.integers(5, 100),
    window=st.integers(5, 40),
    margin=st.integers(1, 6),
    outputs=st.sampled_from(OUTPUTS),
    prominence=st.sampled_from((0.1, 0.15, 0.25, 0.4)),
    certainty=st.floats(0.5, 0.8),
    blend=st.sampled_from((0.0, 0.25, 1.0)),
    steps=st.sampled_from([0, 0, 2, 8]),
    seed=st.integers(0, 10_000),
)
@example(  # a window that sees no edge of the foreground
    height=36,
    width=6,
    block=5,
    window=5,
    margin=1,
    outputs=("foreground", "border"),
    prominence=0.2,
    certainty=0.5,
    blend=0.0,
    steps=0,
    seed=640,
)
@example(  # one pixel between two cores that are equally high
    height=1,
    width=67,
    block=5,
    window=5,
    margin=1,
    outputs=OUTPUT_MAPS,
    prominence=0.1,
    certainty=0.5,
    blend=0.0,
    steps=2,
    seed=800,
)
def test_cells_are_those_of_the_whole_plane_whatever_the_blocks(
    height, width, block, window, margin, outputs, prominence, certainty, blend, steps, seed
):
    maps = draw_maps(seed, (height, width), outputs, steps)
    params = InstanceParams(prominence=prominence, certainty=certainty, blend=blend)
    whole = label_instances(maps, outputs, params, object_size=SIZE)
    found = label(maps, outputs, params, block=block, window=window, margin=margin, reach=128)
    np.testing.assert_array_equal(found, whole)


@pytest.mark.parametrize("outputs", OUTPUTS)
def test_where_cells_reach_farther_than_windows_do_blocks_still_make_no_difference(outputs):
    maps = draw_maps(3, (150, 140), outputs)
    maps[..., 0] = np.clip(maps[..., 0] + 0.1, 0, 1)
    limits = {"window": 16, "margin": 1, "reach": 2}
    params = InstanceParams(prominence=0.1)
    first, *others = (label(maps, outputs, params, block=block, **limits) for block in (7, 32, 55, 200))
    assert first.any()
    for other in others:
        np.testing.assert_array_equal(other, first)


def test_a_cell_across_many_blocks_is_one_and_its_hole_is_filled():
    rows, columns = np.indices((200, 220))
    radius = np.hypot(rows - 100, columns - 110)
    maps = np.zeros((200, 220, 2), np.float32)
    maps[..., 0] = (radius < 90) & (radius > 12)
    maps[..., 1] = np.clip(1 - radius / 90, 0, 1)
    outputs = ("foreground", "distance")
    found = label(maps, outputs, InstanceParams(), block=16, window=16, margin=4)
    assert set(found[radius < 90].tolist()) == {1}
    assert not found[radius >= 90].any()


def test_every_block_and_window_is_reported_and_may_end_the_work():
    maps = draw_maps(0, (64, 64), OUTPUT_MAPS)
    seen = []
    label(maps, OUTPUT_MAPS, InstanceParams(), block=32, window=16, on_block=lambda *at: seen.append(at))
    assert seen == [(number, 5 * 4 + 16) for number in range(1, 37)]

    def stop(done, total):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        label(maps, OUTPUT_MAPS, InstanceParams(), block=32, on_block=stop)
