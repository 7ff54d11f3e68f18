"""What the code promises about itself: style, types, which way imports point, what is never written down."""

import re
import subprocess
import sys
import sysconfig
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "napari_unet"
LONGEST_MODULE = 600
"""Lines. Shorter files are not better as such: ruff limits what a function may hold."""
MOST_FILES = 16
"""Files that a reader can take in at once, in one folder."""
TEXT_SUFFIXES = {
    ".cff",
    ".cfg",
    ".csv",
    ".json",
    ".md",
    ".py",
    ".pyi",
    ".sh",
    ".toml",
    ".txt",
    ".yaml",
    ".yml",
}
TEXT_NAMES = {".gitignore", "LICENSE", "Makefile", "run"}
# Written apart, so that this file does not contain what it looks for.
REGISTRY = re.compile("|".join(("index" + "-url", "pypi" + r"\.org/simple", "pythonhosted" + r"\.org")))
MACHINE_PATH = re.compile(r"(?<![\w.~/-])(?:/(?:work|root|tmp|home/\w+|Users/\w+)/\w|[A-Z]:\\Users\\\w)")


def run(*command: str) -> None:
    """Run a tool of this environment from the repository's root; fails with what it printed."""
    result = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False
    )
    if result.returncode != 0:
        pytest.fail(f"{' '.join(command)}\n{result.stdout}{result.stderr}", pytrace=False)


def test_ruff_finds_nothing() -> None:
    run(sys.executable, "-m", "ruff", "check", ".")


def test_code_is_formatted() -> None:
    run(sys.executable, "-m", "ruff", "format", "--check", "--diff", ".")


def test_types_hold() -> None:
    run(sys.executable, "-m", "mypy")


def test_imports_point_one_way() -> None:
    run(str(Path(sysconfig.get_path("scripts")) / "lint-imports"), "--no-cache")


def modules() -> Iterator[Path]:
    return PACKAGE.rglob("*.py")


def test_only_the_network_floor_loads_keras() -> None:
    """Opening the widget, listing models or reading a file must not wait for TensorFlow."""
    names = []
    for path in sorted(modules()):
        parts = path.relative_to(ROOT).with_suffix("").parts
        if parts[1:2] != ("nn",):
            names.append(".".join(parts).removesuffix(".__init__"))
    assert "napari_unet" in names
    script = f"""
import importlib, sys
for name in {names!r}:
    importlib.import_module(name)
    loaded = {{"keras", "tensorflow"}} & set(sys.modules)
    if loaded:
        sys.exit(f"importing {{name}} loads {{', '.join(sorted(loaded))}}")
"""
    run(sys.executable, "-c", script)


def test_modules_stay_short() -> None:
    lengths = {
        path.relative_to(ROOT).as_posix(): len(path.read_text(encoding="utf-8").splitlines())
        for path in modules()
    }
    assert {name: length for name, length in lengths.items() if length > LONGEST_MODULE} == {}


def repository_files() -> list[Path]:
    """Every file that is, or would be, part of the repository."""
    # The owner of the files may be another user than the one who runs the tests.
    command = [
        "git",
        "-c",
        "safe.directory=*",
        "ls-files",
        "-z",
        "--cached",
        "--others",
        "--exclude-standard",
    ]
    try:
        listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("not a git checkout: nothing tells the repository's files from built ones")
    return [path for name in listed.split("\0") if name and (path := ROOT / name).is_file()]


def test_folders_can_be_taken_in() -> None:
    """A folder of more files than that is a drawer, not a room."""
    counts = Counter(path.parent.relative_to(ROOT).as_posix() for path in repository_files())
    assert {folder: count for folder, count in counts.items() if count > MOST_FILES} == {}


@pytest.mark.parametrize("pattern", [REGISTRY, MACHINE_PATH], ids=["registry", "machine"])
def test_no_text_names_a_registry_or_a_machine(pattern: re.Pattern[str]) -> None:
    texts = [path for path in repository_files() if path.suffix in TEXT_SUFFIXES or path.name in TEXT_NAMES]
    assert texts
    found = []
    for path in texts:
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
            if pattern.search(line):
                found.append(f"{path.relative_to(ROOT).as_posix()}:{number}: {line.strip()}")
    assert found == []
