import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_unet.core.learning.pieces import cut_pieces
from napari_unet.core.learning.sampling import TrainingImage


def draw(size, reviewed=None):
    """An image whose value names the pixel, and cells of 10 px every 25 px."""
    rows, columns = np.indices((size, size))
    labels = np.where((rows % 25 < 10) & (columns % 25 < 10), 1 + rows // 25 * 100 + columns // 25, 0)
    image = (rows * size + columns)[..., None].astype(np.float32)
    return TrainingImage(image, labels.astype(np.int32), reviewed)


@settings(max_examples=25)
@given(data=st.data())
def test_every_reviewed_pixel_is_in_one_piece_and_cells_stay_whole(data):
    size = data.draw(st.integers(40, 200))
    reviewed = np.zeros((size, size), bool)
    for _ in range(data.draw(st.integers(1, 3))):
        top, left = data.draw(st.integers(0, size - 20)), data.draw(st.integers(0, size - 20))
        reviewed[
            top : top + data.draw(st.integers(5, size)), left : left + data.draw(st.integers(5, size))
        ] = True
    whole = draw(size, reviewed)
    pieces = cut_pieces(whole, side=60, margin=8)
    pixels = np.concatenate([piece.image[piece.reviewed].ravel() for piece in pieces])
    np.testing.assert_array_equal(np.sort(pixels), whole.image[reviewed].ravel())
    cells = [set(np.unique(piece.labels[piece.reviewed])) - {0} for piece in pieces]
    assert sum(map(len, cells)) == len(set().union(*cells))


def test_only_the_surroundings_of_what_was_reviewed_are_kept():
    reviewed = np.zeros((2000, 2000), bool)
    reviewed[900:1000, 1200:1300] = True
    [piece] = cut_pieces(draw(2000, reviewed))
    assert piece.labels.shape == (100 + 2 * 96, 100 + 2 * 96)
    assert piece.reviewed.sum() == 100 * 100


def test_without_a_mask_all_of_the_image_teaches():
    [piece] = cut_pieces(draw(100))
    assert piece.reviewed.all()
    assert cut_pieces(draw(100, np.zeros((100, 100), bool))) == []
