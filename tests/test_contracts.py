"""What the code promises about itself: style, types, which way imports point, what is never written down."""

import ast
import importlib
import re
import subprocess
import sys
import sysconfig
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "napari_unet"
LONGEST_MODULE = 600
"""Lines. Shorter files are not better as such: ruff limits what a function may hold."""
MOST_FILES = 16
"""Files that a reader can take in at once, in one folder."""
MIRRORED = ("core", "io", "models", "nn", "store", "worker")
"""Rooms in which every module has a test file of its name, but for those below."""
TESTED_WITH = {
    "io/labels/draw.py": "io/labels/test_read.py",  # all formats through the door that reads them
    "io/labels/geojson.py": "io/labels/test_read.py",
    "io/labels/numpy_file.py": "io/labels/test_read.py",
    "io/labels/pixels.py": "io/labels/test_read.py",
    "io/labels/rois.py": "io/labels/test_read.py",
    "io/labels/target.py": "io/labels/test_read.py",
    "io/layers.py": "test_plugin.py",  # as napari calls it
    "io/lazy.py": "jobs/test_large.py",  # with what it decides
    "nn/learn/from_scratch.py": "jobs/test_train.py",  # with the folders that it learns from
    "nn/learn/holdout.py": "nn/learn/test_fine_tune.py",  # whose middle part it is
    "nn/onnx.py": "models/test_exchange.py",  # in the packages that hold it
    "store/large_labels.py": "store/test_region.py",  # with the regions that change them
    "store/records.py": "store/test_journal.py",  # in the file that holds them
    "worker/child.py": "worker/test_worker.py",  # both ends of one conversation
    "worker/job.py": "worker/test_worker.py",
    "worker/process.py": "worker/test_worker.py",
}
"""The test of a module that has none of its name, and why."""
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


def find_rooms() -> dict[str, Path]:
    """Return the packages by dotted name; those of the core stand by themselves."""
    found = {".".join(p.parent.relative_to(ROOT).parts): p for p in PACKAGE.rglob("__init__.py")}
    return {name: path for name, path in found.items() if name not in ("napari_unet", "napari_unet.core")}


def test_rooms_are_entered_by_their_doors() -> None:
    """Names that a room does not list in `__init__.pyi` are its own: other rooms can do without them."""
    rooms, wrong = find_rooms(), []
    for path in modules():
        own = ".".join(path.parent.relative_to(ROOT).parts)
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            source = node.module if isinstance(node, ast.ImportFrom) else None
            if source is None or source in rooms:
                continue
            room = source.rpartition(".")[0]
            if room in rooms and room != own:
                wrong.append(f"{path.relative_to(ROOT)}:{node.lineno} imports past {room}: {source}")
    assert wrong == []


def test_a_room_says_what_lives_in_it_and_what_its_door_offers() -> None:
    for name, path in find_rooms().items():
        module = importlib.import_module(name)
        assert len((module.__doc__ or "").split()) >= 8, f"{name} does not say what lives in it"
        offered = getattr(module, "__all__", [])
        assert path.with_suffix(".pyi").exists() == bool(offered), name
        if name.startswith("napari_unet.ui"):  # which needs a window system
            continue
        for each in offered:
            value = getattr(module, each)
            inside = isinstance(value, ModuleType) and value.__name__ == f"{name}.{each}"
            stub = path.with_suffix(".pyi").read_text("utf-8")
            assert inside == bool(re.search(rf"^from \. import .*\b{each}\b", stub, re.M)), each


def test_tests_mirror_modules() -> None:
    """Whoever changes a module knows which tests to run."""
    names = {
        path.relative_to(PACKAGE).as_posix(): f"test_{path.name}"
        for room in MIRRORED
        for path in (PACKAGE / room).rglob("*.py")
        if path.name != "__init__.py"
    }
    alone = {name for name, test in names.items() if not (ROOT / "tests" / name).with_name(test).is_file()}
    assert len(names) > 80
    assert alone == set(TESTED_WITH)
    assert [test for test in TESTED_WITH.values() if not (ROOT / "tests" / test).is_file()] == []


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
    """A folder of more files than that is a drawer, not a room; its door is no file of its own."""
    files = (path for path in repository_files() if path.name != "__init__.pyi")
    counts = Counter(path.parent.relative_to(ROOT).as_posix() for path in files)
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
