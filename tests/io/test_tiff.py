from __future__ import annotations

import numpy as np
import pytest
import tifffile

from napari_unet.core.base.errors import InputError
from napari_unet.io import tiff
from napari_unet.io.files import read_image


@pytest.fixture(autouse=True)
def small_is_large(monkeypatch):
    monkeypatch.setattr(tiff, "LAZY", 1000)
    monkeypatch.setattr(tiff, "_BLOCK", 40)


KINDS = {
    "contiguous": {},
    "big endian": {"byteorder": ">"},
    "strips": {"compression": "zlib", "rowsperstrip": 7},
    "tiles of a BigTIFF": {"compression": "zlib", "tile": (32, 32), "bigtiff": True},
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("shape", "axes"), [((90, 110), "YX"), ((3, 90, 110), "ZYX"), ((90, 110, 3), "YXS")])
def test_a_large_file_is_read_in_parts(tmp_path, kind, shape, axes):
    pixels = np.random.default_rng(0).integers(0, 60_000, shape).astype(np.uint16)
    path = tmp_path / "large.tif"
    photometric = "rgb" if "S" in axes else "minisblack"
    tifffile.imwrite(path, pixels, photometric=photometric, metadata={"axes": axes}, **KINDS[kind])
    image = read_image(path)
    assert hasattr(image.data, "compute")
    assert image.axes == axes
    assert image.data.dtype == np.uint16
    np.testing.assert_array_equal(np.asarray(image.data[..., 20:70, 1:]), pixels[..., 20:70, 1:])


def test_a_damaged_part_is_told_in_a_sentence(tmp_path):
    path = tmp_path / "large.tif"
    pixels = np.random.default_rng(0).integers(0, 255, (90, 110)).astype(np.uint8)
    tifffile.imwrite(path, pixels, compression="zlib", tile=(32, 32))
    with tifffile.TiffFile(path) as tif:
        offset = tif.pages[0].dataoffsets[4]
    data = bytearray(path.read_bytes())
    data[offset : offset + 20] = b"?" * 20
    path.write_bytes(bytes(data))
    image = read_image(path)
    np.testing.assert_array_equal(np.asarray(image.data[:32, :32]), pixels[:32, :32])
    with pytest.raises(InputError, match="damaged"):
        np.asarray(image.data)
