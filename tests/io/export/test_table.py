import csv
import io
from pathlib import Path

import numpy as np
import pytest

from napari_unet.core.base.errors import InputError
from napari_unet.io.export.table import encode_table, tabulate
from napari_unet.io.files import ImageFile


def rows_of(content: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(content.decode())))


@pytest.fixture
def labels() -> np.ndarray:
    """Three planes: cell 4 in the first and the last, cell 9 in the last, none in the second."""
    labels = np.zeros((3, 12, 12), np.int32)
    labels[0, 2:6, 2:7] = 4
    labels[2, 2:4, 2:4] = 4
    labels[2, 8:11, 8:11] = 9
    return labels


def image(data: np.ndarray, axes: str, **options: object) -> ImageFile:
    return ImageFile(path=Path("image.tif"), data=data, axes=axes, **options)


@pytest.mark.parametrize(("axes", "column"), [("ZYX", "plane"), ("TYX", "frame")])
def test_one_row_for_each_cell_and_plane(labels: np.ndarray, axes: str, column: str) -> None:
    rows = rows_of(encode_table(tabulate(labels, axes)))
    assert [(row["label"], row[column], row["area"]) for row in rows] == [
        ("4", "0", "20"),
        ("4", "2", "4"),
        ("9", "2", "9"),
    ]
    assert not [name for name in rows[0] if name.endswith(("_um", "_um2"))]
    assert {"centroid_y", "perimeter", "eccentricity", "solidity", "circularity"} <= set(rows[0])


def test_physical_units_where_the_pixel_size_is_known(labels: np.ndarray) -> None:
    row = rows_of(encode_table(tabulate(labels[0], "YX", pixel_size=0.5)))[0]
    assert float(row["area_um2"]) == 5
    assert float(row["perimeter_um"]) == pytest.approx(float(row["perimeter"]) / 2)
    assert float(row["diameter_um"]) == pytest.approx(float(row["diameter"]) / 2, rel=1e-3)


def test_channels_are_measured_by_name_in_any_order_of_axes(labels: np.ndarray) -> None:
    data = np.stack([np.full(labels.shape, 10), labels * 3], axis=-1)
    columns = tabulate(labels, "TYX", image=image(data, "TYXC", channel_names=("DAPI", "actin")))
    assert columns["mean_intensity_DAPI"].tolist() == [10, 10, 10]
    assert columns["mean_intensity_actin"].tolist() == [12, 12, 27]
    moved = image(np.moveaxis(data, -1, 0), "CTYX")
    assert tabulate(labels, "TYX", image=moved)["max_intensity_channel_1"].tolist() == [12, 12, 27]


def test_grey_and_colour_images(labels: np.ndarray) -> None:
    grey = tabulate(labels, "ZYX", image=image(labels * 2, "ZYX"))
    assert grey["mean_intensity"].tolist() == [8, 8, 18]
    colour = np.stack([labels[0], labels[0] * 2, labels[0] * 0], axis=-1).astype(np.uint8)
    columns = tabulate(labels[0], "YX", image=image(colour, "YXS"))
    assert [columns[f"mean_intensity_{name}"][0] for name in ("red", "green", "blue")] == [4, 8, 0]


def test_an_image_that_does_not_fit_is_refused(labels: np.ndarray) -> None:
    for data, axes in ((labels[:2], "ZYX"), (labels[:, :5], "ZYX"), (labels, "TYX"), (labels[0], "YX")):
        with pytest.raises(InputError, match=r"image\.tif .* does not fit labels"):
            tabulate(labels, "ZYX", image=image(data, axes))


def test_no_cell_is_a_table_without_rows() -> None:
    content = encode_table(tabulate(np.zeros((4, 5), np.int32), "YX", pixel_size=1.0))
    assert content.decode().startswith("label,area,")
    assert rows_of(content) == []


def test_what_is_undefined_stays_empty() -> None:
    labels = np.zeros((4, 5), np.int32)
    labels[1, 1] = 1
    (row,) = rows_of(encode_table(tabulate(labels, "YX")))
    assert row["circularity"] == ""
    assert row["area"] == "1"
