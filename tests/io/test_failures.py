"""Errors while a file is read, and the sentences that they become."""

import errno
from pathlib import Path

import pytest

from napari_unet.core.base.errors import InputError
from napari_unet.io.failures import reading


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (InputError("Say it so."), "Say it so."),
        (KeyError("ImageWidth"), "a.tif is damaged, incomplete or not a map: copy or export it again."),
        (
            OSError("broken data stream"),
            "a.tif is damaged, incomplete or not a map: copy or export it again.",
        ),
        (
            OSError(errno.EINVAL, "seek"),
            "a.tif is damaged, incomplete or not a map: copy or export it again.",
        ),
        (FileNotFoundError(errno.ENOENT, "chunk"), "a.tif is damaged, incomplete or not a map"),
        (
            OSError(errno.EIO, "Input/output error"),
            "a.tif cannot be read (Input/output error): check the file",
        ),
        (PermissionError(errno.EACCES, "no"), "a.tif cannot be read: you lack the permission"),
        (MemoryError(), "a.tif does not fit into memory: open a part of it."),
        (
            ValueError("requires the 'imagecodecs' package"),
            "a.tif is compressed in a way that is not known",
        ),
        (
            ImportError(name="zarr.core"),
            "needs the package zarr: install it with pip install 'napari-unet[zarr]'",
        ),
        (
            ImportError(name="vendor"),
            "since vendor is missing: install napari-unet again.",
        ),
    ],
    ids=lambda value: type(value).__name__,
)
def test_every_error_is_a_sentence(tmp_path: Path, error: Exception, said: str) -> None:
    path = tmp_path / "a.tif"
    path.touch()
    with pytest.raises(InputError) as told, reading(path, "a map"):
        raise error
    assert said in str(told.value)


def test_a_file_that_is_gone_is_named_with_its_folder(tmp_path: Path) -> None:
    path = tmp_path / "gone.tif"
    with pytest.raises(InputError) as told, reading(path):
        path.read_bytes()
    assert str(told.value) == f"{path} does not exist: check the name and the folder."


def test_an_interruption_stays_one(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), reading(tmp_path):
        raise KeyboardInterrupt
