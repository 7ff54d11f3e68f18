"""What Fiji sees; that cells come back pixel for pixel is tested where labels are read."""

import io
import zipfile

import numpy as np
import pytest
from roifile import ROI_TYPE, ImagejRoi

from napari_unet.io.export.rois import encode_rois


def rois_of(labels: np.ndarray, axes: str) -> dict[str, ImagejRoi]:
    with zipfile.ZipFile(io.BytesIO(encode_rois(labels, axes))) as archive:
        return {name: ImagejRoi.frombytes(archive.read(name)) for name in archive.namelist()}


def test_a_plain_cell_is_a_traced_selection_and_one_with_a_hole_a_composite() -> None:
    labels = np.zeros((8, 9), np.int32)
    labels[1:4, 2:6] = 5
    labels[5:8, 0:3] = 12
    labels[6, 1] = 0
    rois = rois_of(labels, "YX")
    assert list(rois) == ["0005.roi", "0012.roi"]
    plain, ring = rois.values()
    assert plain.roitype == ROI_TYPE.TRACED
    assert (plain.left, plain.top, plain.right, plain.bottom) == (2, 1, 6, 4)
    np.testing.assert_array_equal(plain.coordinates(), [(2, 1), (6, 1), (6, 4), (2, 4)])
    assert ring.roitype == ROI_TYPE.RECT
    assert len(ring.coordinates(multi=True)) == 2
    assert ring.properties == {"label": 12}


@pytest.mark.parametrize(
    ("axes", "expected"),
    [("ZYX", (4, 0, 0, 0)), ("TYX", (4, 0, 0, 0)), ("TZYX", (0, 1, 4, 1)), ("ZTYX", (0, 1, 1, 4))],
)
def test_positions_are_those_that_fiji_shows(axes: str, expected: tuple[int, ...]) -> None:
    labels = np.zeros((1, 5, 4, 4)[4 - len(axes) :] if len(axes) == 4 else (5, 4, 4), np.int32)
    labels[..., 3, :, :] = 1
    (roi,) = rois_of(labels, axes).values()
    assert (roi.position, roi.c_position, roi.z_position, roi.t_position) == expected
