import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from scipy import ndimage

from napari_unet.core.base.arrays import slices
from napari_unet.core.image.blocks import Components, grow_box, plan_blocks, within

sizes = st.integers(1, 60)


@given(height=sizes, width=sizes, side=st.integers(1, 70))
def test_blocks_cover_every_pixel_once(height, width, side):
    count = np.zeros((height, width), int)
    for box in plan_blocks((height, width), side):
        count[slices(box)] += 1
    assert (count == 1).all()


@given(height=sizes, width=sizes, side=st.integers(1, 70), margin=st.integers(0, 9))
def test_a_block_is_found_again_in_the_window_around_it(height, width, side, margin):
    plane = np.arange(height * width).reshape(height, width)
    for box in plan_blocks((height, width), side):
        window = grow_box(box, margin, plane.shape)
        np.testing.assert_array_equal(plane[slices(window)][within(box, window)], plane[slices(box)])


@given(
    height=sizes,
    width=sizes,
    side=st.integers(3, 70),
    density=st.sampled_from([0.2, 0.5, 0.6, 0.9]),
    seed=st.integers(0, 99),
)
def test_pieces_seen_block_by_block_are_those_of_the_whole_mask(height, width, side, density, seed):
    """In number too: mazes of pieces that go in and out of blocks many times."""
    mask = np.random.default_rng(seed).random((height, width)) < density
    components, ids = Components(mask.shape), np.zeros(mask.shape, np.int32)
    for box in plan_blocks(mask.shape, side):
        ids[slices(box)] = components.add(mask[slices(box)], box)
    np.testing.assert_array_equal(components.join()[ids], ndimage.label(mask)[0])
