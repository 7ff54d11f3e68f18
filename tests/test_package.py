"""What the wheel carries."""

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.Path:
    """The wheel as it would be published, opened; built with what is installed, so without the network."""
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "--no-cache-dir"]
    built = subprocess.run(
        [*command, "--wheel-dir", str(folder), str(ROOT)],
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        check=False,
    )
    assert built.returncode == 0, built.stdout + built.stderr
    (path,) = folder.glob("*.whl")
    return zipfile.Path(path)


def names_below(folder: zipfile.Path) -> set[str]:
    return {entry.name for entry in folder.iterdir()} if folder.is_dir() else set()


def files_below(folder: Path) -> set[str]:
    return {path.name for path in folder.glob("*") if path.name != "__pycache__"}


def test_wheel_has_the_manifest(wheel: zipfile.Path) -> None:
    manifest = wheel / "napari_unet" / "napari.yaml"
    assert manifest.read_text(encoding="utf-8") == (ROOT / "napari_unet/napari.yaml").read_text(
        encoding="utf-8"
    )


@pytest.mark.parametrize(
    ("inside", "source"),
    [
        ("napari_unet/models/bundled", "napari_unet/models/bundled"),
        ("napari_unet/sample_data", "sample_data"),
    ],
)
def test_wheel_has_every_file_of_the_folder(wheel: zipfile.Path, inside: str, source: str) -> None:
    expected = files_below(ROOT / source)
    assert expected, f"{source} is empty"
    assert names_below(wheel / inside) >= expected


def test_wheel_has_every_module(wheel: zipfile.Path) -> None:
    package = ROOT / "napari_unet"
    modules = [path.relative_to(ROOT).as_posix() for path in package.rglob("*.py")]
    assert [name for name in modules if not (wheel / name).is_file()] == []


def test_wheel_has_one_package_and_no_tests(wheel: zipfile.Path) -> None:
    assert {name for name in names_below(wheel) if not name.endswith(".dist-info")} == {"napari_unet"}


def test_wheel_tells_napari_and_the_shell_how_to_start_it(wheel: zipfile.Path) -> None:
    (info,) = [entry for entry in wheel.iterdir() if entry.name.endswith(".dist-info")]
    entry_points = (info / "entry_points.txt").read_text(encoding="utf-8")
    assert "[napari.manifest]\nnapari-unet = napari_unet:napari.yaml" in entry_points
    assert "[console_scripts]\nnapari-unet = napari_unet.cli.main:main" in entry_points
