import os

import imagecodecs
import numpy as np
import pytest
from PIL import Image

from napari_unet.core.base.errors import InputError
from napari_unet.io import photo
from napari_unet.io.files import list_images, read_calibration, read_image, read_labels

RNG = np.random.default_rng(0)


@pytest.mark.parametrize("bands", [3, 4])
def test_colours_of_16_bits_keep_every_bit(tmp_path, bands):
    pixels = RNG.integers(0, 200, (20, 30, bands), dtype=np.uint16)  # dim: the high bytes are all 0
    (tmp_path / "a.png").write_bytes(imagecodecs.png_encode(pixels))
    image = read_image(tmp_path / "a.png")
    assert image.axes == read_calibration(tmp_path / "a.png").axes == "YXS"
    np.testing.assert_array_equal(image.data, pixels)


def test_grey_with_transparency_of_16_bits_keeps_every_bit(tmp_path):
    pixels = RNG.integers(0, 200, (20, 30, 2), dtype=np.uint16)
    (tmp_path / "a.png").write_bytes(imagecodecs.png_encode(pixels))
    image = read_image(tmp_path / "a.png")
    np.testing.assert_array_equal(image.data, pixels[..., [0, 0, 0, 1]])


@pytest.mark.parametrize("ending", [".jpg", ".png", ".webp"])
def test_a_camera_that_was_held_upright_is_obeyed(tmp_path, ending):
    held = np.zeros((20, 30), np.uint8)
    held[:5] = 255
    picture = Image.fromarray(held)
    exif = picture.getexif()
    exif[0x112] = 6  # turn it by 90 degrees, clockwise
    picture.save(tmp_path / f"a{ending}", exif=exif)
    data = read_image(tmp_path / f"a{ending}").data.reshape(30, 20, -1)[..., 0]
    assert data[:, -5:].mean() > 250
    assert data[:, :-6].mean() < 5


@pytest.mark.parametrize("ending", [".bmp", ".gif", ".webp"])
def test_what_opens_in_the_window_opens_everywhere(tmp_path, ending):
    pixels = np.repeat(np.repeat(RNG.integers(0, 255, (4, 6), dtype=np.uint8), 8, 0), 8, 1)
    options = {"lossless": True} if ending == ".webp" else {}
    Image.fromarray(pixels).save(tmp_path / f"a{ending}", **options)
    image = read_image(tmp_path / f"a{ending}")
    assert image.axes == read_calibration(image.path).axes
    np.testing.assert_array_equal(image.data.reshape(32, 48, -1)[..., 0], pixels)
    assert list_images([tmp_path]) == [image.path]


def test_a_large_photo_is_read_and_the_limit_of_other_programs_stays(tmp_path, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)  # twice as many are an error for Pillow
    Image.fromarray(np.full((40, 40), 7, np.uint8)).save(tmp_path / "a.png")
    assert (read_image(tmp_path / "a.png").data == 7).all()
    assert Image.MAX_IMAGE_PIXELS == 100


def test_a_photo_that_does_not_fit_into_memory_is_refused(tmp_path, monkeypatch):
    class Memory:
        available = 1000

    monkeypatch.setattr(photo.psutil, "virtual_memory", Memory)
    Image.fromarray(np.zeros((40, 40), np.uint8)).save(tmp_path / "a.png")
    with pytest.raises(InputError, match="40 x 40 pixels, which do not fit into memory"):
        read_image(tmp_path / "a.png")


def test_labels_in_a_palette_are_its_indices(tmp_path):
    labels = np.repeat(np.arange(6, dtype=np.uint8)[None], 5, 0)
    picture = Image.fromarray(labels, mode="P")
    picture.putpalette(list(range(18)))
    picture.save(tmp_path / "a.png")
    np.testing.assert_array_equal(read_labels(tmp_path / "a.png"), labels)


def test_what_file_managers_leave_in_a_folder_is_passed_over(tmp_path):
    Image.fromarray(np.zeros((4, 4), np.uint8)).save(tmp_path / "a.png")
    for name in ("Thumbs.db", "desktop.ini", ".DS_Store"):
        (tmp_path / name).write_bytes(b"x")
    assert list_images(sorted(tmp_path.iterdir())) == [tmp_path / "a.png"]
    (tmp_path / "notes.txt").write_bytes(b"x")
    with pytest.raises(InputError, match=r"notes\.txt cannot be read"):
        list_images(sorted(tmp_path.iterdir()))


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="Windows has no such files")
@pytest.mark.parametrize("ending", [".tif", ".png"])
def test_a_pipe_is_not_waited_for(tmp_path, ending):
    os.mkfifo(tmp_path / f"a{ending}")
    with pytest.raises(InputError, match="is not a file"):
        read_image(tmp_path / f"a{ending}")
