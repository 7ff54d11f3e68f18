"""What the documents say of the code is so."""

import ast
import re
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement

import napari_unet

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "napari_unet"
PAGES = [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
TWO_PAGES = 1500
"""Words that two printed pages hold, with tables and commands."""
IMPORTED_AS = {
    "connected-components-3d": "cc3d",
    "pillow": "PIL",
    "pyyaml": "yaml",
    "scikit-image": "skimage",
}
NOT_IMPORTED = {
    "bioio-lif",  # by bioio
    "bioio-nd2",
}
COMES_WITH = {"app_model", "npe2"}
"""Packages that napari is made of."""
OPTIONAL = {"cellpose", "csbdeep", "stardist", "torch"}  # used if installed
PATH = re.compile(r"`((?:[\w.-]+/)*[\w-]+(?:\.py|\.sh|\.toml|\.md|\.txt|\.yaml|/))`")


def read(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def section(page: str, title: str) -> str:
    return page.split(f"## {title}\n")[1].split("\n## ")[0]


@pytest.mark.parametrize("name", ["CONTRIBUTING.md", "docs/design.md"])
def test_every_path_on_a_page_exists(name: str) -> None:
    """Paths are below the repository, below the package, or beside another path of the same line."""
    missing, found = [], 0
    for line in read(ROOT / name).splitlines():
        paths = PATH.findall(line)
        own = [PACKAGE / path.removeprefix("napari_unet/") for path in paths]
        beside = [path if path.is_dir() else path.parent for path in own]
        for path in paths:
            places = [ROOT, PACKAGE, PACKAGE / "core" / "image", PACKAGE / "core" / "cells", *beside]
            found += 1
            if not any((place / path).exists() for place in places):
                missing.append(path)
    assert found > 20
    assert missing == []


def test_a_stranger_finds_twenty_things() -> None:
    rows = section(read(ROOT / "CONTRIBUTING.md"), "Where is ...?").splitlines()
    answers = [match[1] for row in rows if (match := re.match(r"\| .*\? \| `([\w/.]+)`", row))]
    assert len(answers) == 20
    assert [answer for answer in answers if not (PACKAGE / answer).is_file()] == []


@pytest.mark.parametrize(
    "name", ["CONTRIBUTING.md", "SECURITY.md", "docs/design.md", "docs/glossary.md", "docs/python.md"]
)
def test_a_page_for_developers_stays_short(name: str) -> None:
    assert len(re.findall(r"\w[\w'-]*", read(ROOT / name))) <= TWO_PAGES


def test_links_lead_somewhere() -> None:
    broken = []
    for page in PAGES:
        for target in re.findall(r"\]\(([^)#:]+)\)", read(page)):
            if not (page.parent / target).exists():
                broken.append(f"{page.name}: {target}")
    assert broken == []


def test_every_make_target_on_a_page_exists() -> None:
    targets = set(re.findall(r"^([\w-]+):", read(ROOT / "Makefile"), re.MULTILINE))
    named = {
        target for page in PAGES for target in re.findall(r"(?:^|`)make ([\w-]+)", read(page), re.MULTILINE)
    }
    assert "test-lowest" in named
    assert named <= targets


def test_every_test_that_a_command_names_exists() -> None:
    sources = [
        *PAGES,
        ROOT / "Makefile",
        *(ROOT / "scripts").glob("*.sh"),
        *(ROOT / ".github" / "workflows").glob("*.yml"),
    ]
    named = {path for source in sources for path in re.findall(r"(?<![\w/])tests/[\w./]*\w", read(source))}
    assert "tests/store" in named
    assert [path for path in sorted(named) if not (ROOT / path).exists()] == []


def test_the_changelog_knows_the_version() -> None:
    assert f"\n## [{PROJECT['version']}]" in read(ROOT / "CHANGELOG.md")


def test_the_changelog_names_what_can_be_imported() -> None:
    unreleased = read(ROOT / "CHANGELOG.md").split("## [Unreleased]")[1].split("\n## ")[0]
    (entry,) = (item for item in unreleased.split("\n- ") if item.startswith("Public names"))
    named = set(re.findall(r"`(\w+)`", entry))
    assert "ModelCard" in named
    assert named - set(napari_unet.__all__) == set()


def imported_packages() -> set[str]:
    """Top-level names of other packages that the package imports anywhere."""
    names = set()
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(read(path))):
            if isinstance(node, ast.Import):
                names |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                names.add(node.module.split(".")[0])
    return names - set(sys.stdlib_module_names) - {"napari_unet"}


def declared_packages() -> set[str]:
    extras = PROJECT["optional-dependencies"]
    lines = [*PROJECT["dependencies"], *(line for name in extras if name != "test" for line in extras[name])]
    return {Requirement(line).name for line in lines} - {"napari-unet"}


def test_what_is_imported_is_declared_and_what_is_declared_is_imported() -> None:
    declared = {IMPORTED_AS.get(name, name.replace("-", "_")) for name in declared_packages() - NOT_IMPORTED}
    imported = imported_packages()
    assert imported - OPTIONAL - COMES_WITH <= declared
    assert declared <= imported


def test_every_dependency_says_why_it_is_there() -> None:
    lines = read(ROOT / "pyproject.toml").split("\ndependencies = [\n")[1].split("\n]\n")[0].splitlines()
    assert len(lines) == len(PROJECT["dependencies"])
    assert [line for line in lines if not re.search(r'",\s+# \w', line)] == []
