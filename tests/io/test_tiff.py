from __future__ import annotations

import struct
import uuid

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


OME = """<?xml version="1.0" encoding="UTF-8"?>
<OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06" UUID="urn:uuid:{own}"><Image ID="Image:0">
<Pixels ID="Pixels:0" DimensionOrder="XYCZT" Type="uint16" SizeX="32" SizeY="24" SizeC="2" SizeZ="1" SizeT="1"
PhysicalSizeX="0.5" PhysicalSizeXUnit="\u00b5m">
<Channel ID="Channel:0:0" SamplesPerPixel="1"/><Channel ID="Channel:0:1" SamplesPerPixel="1"/>
<TiffData FirstC="0" PlaneCount="1"><UUID FileName="a.ome.tif">urn:uuid:{first}</UUID></TiffData>
<TiffData FirstC="1" PlaneCount="1"><UUID FileName="b.ome.tif">urn:uuid:{second}</UUID></TiffData>
</Pixels></Image></OME>"""


def test_files_that_name_each_other_are_read_each_by_itself(tmp_path):
    first, second = str(uuid.uuid4()), str(uuid.uuid4())
    planes = np.random.default_rng(0).integers(0, 999, (2, 24, 32), dtype=np.uint16)
    for name, own, plane in zip("ab", (first, second), planes, strict=True):
        xml = OME.format(own=own, first=first, second=second)
        tifffile.imwrite(tmp_path / f"{name}.ome.tif", plane, description=xml.encode(), metadata=None)
    for name, plane in zip("ab", planes, strict=True):
        image = read_image(tmp_path / f"{name}.ome.tif")
        assert (image.axes, image.pixel_size) == ("YX", 0.5)
        np.testing.assert_array_equal(image.data, plane)


@pytest.mark.parametrize("claim", [4294967295, 100_000])
def test_a_size_that_the_file_does_not_hold_is_refused_at_once(tmp_path, claim):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, np.zeros((16, 16), np.uint8), rowsperstrip=16)
    content = bytearray(path.read_bytes())
    with tifffile.TiffFile(path) as tif:
        for code in (256, 257):
            entry = tif.pages.first.tags[code].offset
            struct.pack_into("<HII", content, entry + 2, 4, 1, claim)
    path.write_bytes(content)
    with pytest.raises(InputError, match=f"it says that it is {claim} x {claim} pixels"):
        read_image(path)


def test_a_short_last_axis_holds_channels(tmp_path):
    stored = np.random.default_rng(0).integers(0, 99, (64, 48, 5), dtype=np.uint8)
    tifffile.imwrite(tmp_path / "a.tif", stored, photometric="minisblack")
    image = read_image(tmp_path / "a.tif")
    assert image.axes == "YXC"
    np.testing.assert_array_equal(image.data, stored)
