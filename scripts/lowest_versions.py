"""Print the lowest versions that pyproject.toml declares, as constraints for pip.

`python scripts/lowest_versions.py > lowest.txt`, then `pip install -c lowest.txt ".[all]"`: what is not
declared truly cannot be installed like that, or fails the tests.
"""

import tomllib
from collections.abc import Iterator
from pathlib import Path

from packaging.requirements import Requirement

PROJECT = Path(__file__).parents[1] / "pyproject.toml"
FOR_DEVELOPERS = {"bio", "test"}
"""Extras whose lowest versions are not tested: nobody's work depends on old test tools; bio is optional."""


def list_lowest(project: dict[str, object]) -> Iterator[str]:
    """Yield `name==version` for each lower bound of what users install."""
