import numpy as np
import pytest

from napari_unet.core.base.errors import InputError
from napari_unet.io import hashing
from napari_unet.io.hashing import hash_image, hash_samples

IMAGE = np.arange(3 * 80 * 90, dtype=np.uint16).reshape(3, 80, 90)


def test_an_image_is_known_again_however_it_lies_in_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    known = hash_image(IMAGE)
    assert hash_image(np.asfortranarray(IMAGE)) == known
    assert hash_image(IMAGE.astype(">u2")) == known
    monkeypatch.setattr(hashing, "_BLOCK", 80 * 90 * 2)  # plane by plane
    assert hash_image(IMAGE) == known


def test_another_pixel_shape_or_type_is_another_image() -> None:
    changed = IMAGE.copy()
    changed[1, 40, 40] += 1
    others = [changed, IMAGE.reshape(3, 90, 80), IMAGE.astype(np.int16)]
    assert len({hash_image(each) for each in (IMAGE, *others)}) == 4


@pytest.mark.parametrize("array", [np.array("text"), np.array(["a", "b"]), np.float32(1)])
def test_what_is_no_image_is_refused(array: np.ndarray) -> None:
    with pytest.raises(InputError, match="is no image: open an image of numbers"):
        hash_image(np.asarray(array))


def test_a_large_image_is_known_by_samples_and_its_file() -> None:
    known = hash_samples(IMAGE, "a.zarr")
    assert hash_samples(IMAGE.astype(">u2"), "a.zarr") == known
    assert hash_samples(IMAGE, "b.zarr") != known
    assert hash_samples(IMAGE + 1, "a.zarr") != known


def test_little_of_a_large_image_is_read_for_its_hash() -> None:
    class Counted:
        dtype, shape = np.dtype(np.uint16), (500, 4000, 4000)
        read = 0

        def __getitem__(self, where: tuple[slice, ...]) -> np.ndarray:
            sizes = [part.stop - part.start for part in where]
            Counted.read += int(np.prod(sizes))
            return np.zeros(sizes, np.uint16)

    hash_samples(Counted(), None)
    assert 0 < Counted.read <= 16 * 64**3
