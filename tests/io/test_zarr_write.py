"""Labels written beside an OME-Zarr image, in its version, all or nothing."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr

from napari_unet.core.base.errors import InputError
from napari_unet.core.base.progress import Cancelled
from napari_unet.io import zarr_write as zarr_labels
from napari_unet.io.files import read_calibration, read_labels
from napari_unet.io.layers import read_layers
from napari_unet.io.zarr_read import list_labels
from napari_unet.io.zarr_write import add_labels, write_label_image

Write = Callable[..., Path]
versions = pytest.mark.parametrize("version", ["0.4", "0.5"])


def snapshot(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def some_labels(*shape: int) -> np.ndarray:
    return (np.random.default_rng(0).random(shape) > 0.7).astype(np.int32) * 70_000


def attributes_of(path: Path) -> dict[str, Any]:
    attributes = zarr.open_group(path, mode="r").attrs.asdict()
    return attributes.get("ome", attributes)


@pytest.fixture
def image(tmp_path: Path, write_ome_zarr: Write, version: str) -> Path:
    data = np.random.default_rng(0).integers(1, 99, (2, 3, 41, 50)).astype(np.uint8)
    return write_ome_zarr(tmp_path / "a.zarr", data, "CZYX", version)


@versions
def test_labels_lie_beside_the_image_and_the_image_is_untouched(image: Path, version: str) -> None:
    before, labels = snapshot(image), some_labels(3, 41, 50)
    path = add_labels(image, labels)
    assert path == image / "labels" / "cells"
    after = snapshot(image)
    assert {name: after[name] for name in before} == before
    assert {name.split("/")[0] for name in set(after) - set(before)} == {"labels"}
    np.testing.assert_array_equal(read_labels(path), labels)
    said = read_calibration(path)
    assert (said.axes, said.pixel_size, said.z_step) == ("ZYX", 0.25, 2.0)
    assert list_labels(image) == ["cells"]


@versions
def test_metadata_follow_the_specification(image: Path, version: str) -> None:
    path = add_labels(image, some_labels(3, 41, 50))
    old = version == "0.4"
    assert (path / (".zgroup" if old else "zarr.json")).exists()
    assert attributes_of(image / "labels")["labels"] == ["cells"]
    metadata = attributes_of(path)
    assert metadata["image-label"]["source"] == {"image": "../../"}
    (multiscale,) = metadata["multiscales"]
    assert (multiscale if old else metadata)["version"] == version
    (original,) = attributes_of(image)["multiscales"]
    assert len(multiscale["datasets"]) == len(original["datasets"])
    assert multiscale["axes"] == original["axes"][1:]
    for ours, theirs in zip(multiscale["datasets"], original["datasets"], strict=True):
        array = zarr.open_array(path / ours["path"], mode="r")
        shape = zarr.open_array(image / theirs["path"], mode="r").shape
        assert array.shape == shape[1:]
        assert array.dtype == np.int32
        assert array.metadata.zarr_format == (2 if old else 3)
        if not old:
            assert array.metadata.dimension_names == ("z", "y", "x")
        (scale,) = ours["coordinateTransformations"]
        assert scale["scale"] == theirs["coordinateTransformations"][0]["scale"][1:]
    coarse = np.asarray(zarr.open_array(path / "1", mode="r"))
    assert set(np.unique(coarse)) == {0, 70_000}


@versions
def test_labels_are_replaced_and_others_stay(image: Path, version: str) -> None:
    add_labels(image, some_labels(3, 41, 50), "nuclei")
    add_labels(image, some_labels(3, 41, 50))
    other = snapshot(image / "labels" / "nuclei")
    add_labels(image, np.ones((3, 41, 50), np.int32))
    assert list_labels(image) == ["nuclei", "cells"]
    assert snapshot(image / "labels" / "nuclei") == other
    assert (read_labels(image / "labels" / "cells") == 1).all()
    assert {path.name for path in (image / "labels").iterdir() if path.is_dir()} == {"nuclei", "cells"}


@versions
@pytest.mark.parametrize("place", ["zarr.Array.__setitem__", "napari_unet.io.zarr_write.replace"])
@pytest.mark.parametrize("again", [False, True])
def test_a_full_disk_leaves_everything_as_it_was(
    image: Path, version: str, place: str, again: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if again:
        add_labels(image, some_labels(3, 41, 50))
    before, folders = snapshot(image), {path for path in image.rglob("*") if path.is_dir()}

    def fill_the_disk(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(place, fill_the_disk)
    with pytest.raises(InputError, match=r"No space left on device\): choose another place or make room"):
        add_labels(image, np.ones((3, 41, 50), np.int32))
    assert snapshot(image) == before
    assert {path for path in image.rglob("*") if path.is_dir()} == folders


@versions
@pytest.mark.parametrize("again", [False, True])
def test_a_read_only_image_is_one_sentence(
    image: Path, version: str, again: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the error that systems give: nothing is read-only to the owner of the machine, who may run this."""
    if again:
        add_labels(image, some_labels(3, 41, 50))
    before, mkdir = snapshot(image), Path.mkdir

    def refuse(path: Path, *args: Any, **options: Any) -> None:
        if image in path.parents and not path.exists():
            raise OSError(30, "Read-only file system", str(path))
        mkdir(path, *args, **options)

    monkeypatch.setattr(Path, "mkdir", refuse)
    with pytest.raises(InputError, match=r"a\.zarr cannot be written \(Read-only file system\): choose"):
        add_labels(image, np.ones((3, 41, 50), np.int32))
    assert snapshot(image) == before


@versions
def test_the_old_labels_return_if_the_new_cannot_take_their_place(
    image: Path, version: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_labels(image, some_labels(3, 41, 50))
    before, replace = snapshot(image), zarr_labels.replace

    def refuse_the_new(source: Path, target: Path) -> None:
        if target.name == "cells" and ".old." not in source.name:
            raise PermissionError(13, "Permission denied")
        replace(source, target)

    monkeypatch.setattr(zarr_labels, "replace", refuse_the_new)
    with pytest.raises(InputError, match="Permission denied"):
        add_labels(image, np.ones((3, 41, 50), np.int32))
    assert snapshot(image) == before


def test_what_a_crash_left_is_cleared_away(tmp_path: Path) -> None:
    for name in (".a.zarr.0123.tmp", ".a.zarr.old.4567.tmp", ".b.zarr.0123.tmp"):
        (tmp_path / name / "0").mkdir(parents=True)
    write_label_image(tmp_path / "a.zarr", some_labels(20, 20), "YX")
    assert {entry.name for entry in tmp_path.iterdir()} == {"a.zarr", ".b.zarr.0123.tmp"}


@versions
def test_labels_of_another_shape_are_refused(image: Path, version: str) -> None:
    before = snapshot(image)
    with pytest.raises(InputError, match=r"needs labels of shape \(3, 41, 50\), not \(41, 50\)"):
        add_labels(image, some_labels(41, 50))
    assert snapshot(image) == before


def test_labels_listed_by_others_keep_their_list(tmp_path: Path, write_ome_zarr: Write) -> None:
    path = write_ome_zarr(tmp_path / "a.zarr", np.ones((20, 20), np.uint8), "YX", "0.4")
    (path / "labels").mkdir()
    (path / "labels" / ".zgroup").write_text('{"zarr_format": 2}')
    (path / "labels" / ".zattrs").write_text('{"labels": ["theirs"], "note": "keep"}')
    add_labels(path, some_labels(20, 20))
    content = json.loads((path / "labels" / ".zattrs").read_text())
    assert content == {"labels": ["theirs", "cells"], "note": "keep"}


def test_a_label_image_of_its_own(tmp_path: Path) -> None:
    path, labels = tmp_path / "a.zarr", some_labels(2, 3, 20, 30)
    write_label_image(path, labels, "TZYX", pixel_size=0.5, z_step=2.0)
    np.testing.assert_array_equal(read_labels(path), labels)
    said = read_calibration(path)
    assert (said.axes, said.scale) == ("TZYX", (1, 2, 0.5, 0.5))
    write_label_image(path, labels[0], "ZYX")
    assert read_calibration(path).units == ("pixel",) * 3
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.zarr"]


def test_a_label_image_takes_no_other_place(tmp_path: Path, write_ome_zarr: Write) -> None:
    image = write_ome_zarr(tmp_path / "a.zarr", np.ones((20, 20), np.uint8), "YX")
    before = snapshot(image)
    with pytest.raises(InputError, match="is there already"):
        write_label_image(image, some_labels(20, 20), "YX")
    assert snapshot(image) == before
    with pytest.raises(InputError, match="cannot be written"):
        write_label_image(image / "zarr.json" / "b.zarr", some_labels(20, 20), "YX")


def test_damaged_labels_do_not_keep_the_image_from_opening(
    tmp_path: Path, write_ome_zarr: Write, caplog: pytest.LogCaptureFixture
) -> None:
    path = write_ome_zarr(tmp_path / "a.zarr", np.ones((20, 20), np.uint8), "YX")
    add_labels(path, some_labels(20, 20))
    add_labels(path, some_labels(20, 20), "broken")
    (path / "labels" / "broken" / "0" / "zarr.json").write_text("{")
    assert [kind for _, _, kind in read_layers(path)] == ["image", "labels"]
    assert "The labels 'broken' of a.zarr are left out" in caplog.text


@versions
def test_image_and_labels_become_layers(image: Path, version: str) -> None:
    labels = some_labels(3, 41, 50)
    add_labels(image, labels)
    (picture, look, kind), (data, options, labels_kind) = read_layers(image)
    assert (kind, labels_kind) == ("image", "labels")
    assert look["channel_axis"] == 0
    assert look["name"] == ["a channel 1", "a channel 2"]
    assert picture.shape == (2, 3, 41, 50)
    assert look["scale"] == options["scale"] == (2, 0.25, 0.25)
    assert options["name"] == "cells"
    np.testing.assert_array_equal(data, labels)
    assert isinstance(data, np.ndarray)
    ((_, _, only),) = read_layers(image / "labels" / "cells")
    assert only == "labels"


# Labels bigger than memory


class Counted:
    """Labels that are read from the disk, and note how many pixels are asked for at a time."""

    def __init__(self, array: Any) -> None:
        self.array, self.shape, self.read = array, array.shape, []

    def __getitem__(self, key: Any) -> Any:
        self.read.append(int(np.prod([len(range(*k.indices(n))) for k, n in zip(key, self.shape)])))  # noqa: B905
        return self.array[key]


@pytest.fixture
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(zarr_labels, "WIDE", 64)
    monkeypatch.setattr(zarr_labels, "_BLOCK", 16)


@versions
@pytest.mark.parametrize("shape", [(301, 203), (3, 201, 150), (40, 20, 30)])
def test_labels_are_written_from_disk_to_disk_in_parts(
    tmp_path: Path, write_ome_zarr: Write, version: str, shape: tuple[int, ...], small_parts: None
) -> None:
    image = write_ome_zarr(tmp_path / "a.zarr", np.ones(shape, np.uint8), "ZYX"[-len(shape) :], version)
    labels = np.random.default_rng(1).integers(0, 2**31, shape).astype(np.uint32)
    lazy = Counted(zarr.create_array(tmp_path / "source.zarr", data=labels, chunks=(7,) * len(shape)))
    told: list[tuple[int, int]] = []
    path = add_labels(image, lazy, on_part=lambda done, total: told.append((done, total)))
    assert max(lazy.read) <= 64 * 64
    assert sum(lazy.read) == labels.size
    assert told == [(done, len(lazy.read)) for done in range(len(told))]
    np.testing.assert_array_equal(read_labels(path), labels)
    for level in ("0", "1"):
        array = zarr.open_array(path / level, mode="r")
        assert np.prod(array.chunks) <= 16 * 16
        nearest = [
            ((np.arange(n) + 0.5) * m / n).astype(int) for n, m in zip(array.shape, shape, strict=True)
        ]
        np.testing.assert_array_equal(array[...], labels[np.ix_(*nearest)])
    other = write_label_image(tmp_path / "b.zarr", lazy, "ZYX"[-len(shape) :])
    np.testing.assert_array_equal(zarr.open_array(other / "0", mode="r")[...], labels)
    assert max(lazy.read) <= 64 * 64


KILLED = """
import os, sys
from pathlib import Path
import numpy as np
from napari_unet.io import zarr_write as zarr_labels

zarr_labels.WIDE = zarr_labels._BLOCK = 16
add = zarr_labels.add_labels
add(Path(sys.argv[1]), np.full((3, 41, 50), 5, np.int32), on_part=lambda n, all: os._exit(9) if n == 4 else 0)
"""


@versions
@pytest.mark.parametrize("again", [False, True])
def test_a_process_that_is_killed_leaves_the_labels_as_they_were(
    image: Path, version: str, again: bool
) -> None:
    labels = some_labels(3, 41, 50)
    if again:
        add_labels(image, labels)
    before = snapshot(image)
    assert subprocess.run([sys.executable, "-c", KILLED, image], check=False).returncode == 9
    after = snapshot(image)
    assert {name: after[name] for name in before} == before
    assert len(after) > len(before)  # it was in the midst of it
    assert list_labels(image) == ["cells"] * again
    assert [kind for _, _, kind in read_layers(image)] == ["image"] + ["labels"] * again
    add_labels(image, labels)
    np.testing.assert_array_equal(read_labels(image / "labels" / "cells"), labels)
    assert {path.name for path in (image / "labels").iterdir() if path.is_dir()} == {"cells"}


@versions
def test_labels_of_another_program_are_not_replaced(image: Path, version: str) -> None:
    theirs = zarr.create_group(image / "labels" / "cells", zarr_format=2 if version == "0.4" else 3)
    theirs.create_array("0", shape=(3, 41, 50), dtype=np.int32)
    before = snapshot(image)
    with pytest.raises(InputError, match=r"a\.zarr has labels 'cells' that another program wrote: rename or"):
        add_labels(image, some_labels(3, 41, 50))
    assert snapshot(image) == before
    add_labels(image, some_labels(3, 41, 50), "mine")
    assert list_labels(image) == ["mine"]


@versions
def test_work_that_is_stopped_or_cannot_be_read_changes_nothing(
    image: Path, version: str, small_parts: None
) -> None:
    before, folders = snapshot(image), {path for path in image.rglob("*") if path.is_dir()}

    def stop(done: int, total: int) -> None:
        if done == 1:
            raise Cancelled

    with pytest.raises(Cancelled):
        add_labels(image, some_labels(3, 41, 50), on_part=stop)
    late = some_labels(3, 41, 50)
    late[2, 40, 49] = -1
    with pytest.raises(InputError, match="A label is negative"):
        add_labels(image, late)
    assert snapshot(image) == before
    assert {path for path in image.rglob("*") if path.is_dir()} == folders


def test_labels_of_the_first_of_several_images_lie_in_it(tmp_path: Path, write_ome_zarr: Write) -> None:
    root = zarr.create_group(tmp_path / "a.zarr", zarr_format=2, attributes={"bioformats2raw.layout": 3})
    write_ome_zarr(tmp_path / "a.zarr" / "0", np.ones((20, 20), np.uint8), "YX", "0.4")
    assert root.attrs
    add_labels(tmp_path / "a.zarr", some_labels(20, 20))
    assert [kind for _, _, kind in read_layers(tmp_path / "a.zarr")] == ["image", "labels"]
