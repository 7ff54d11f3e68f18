"""Print the lowest versions that pyproject.toml declares for users, as constraints for pip.

Not those of the extras `test`, on which nobody's work depends, and `bio`, which is for users to choose.
"""

import tomllib
from collections.abc import Iterator
from pathlib import Path

from packaging.requirements import Requirement

PROJECT = Path(__file__).parents[1] / "pyproject.toml"


def list_lowest(lines: list[str]) -> Iterator[str]:
    """Yield `name==version` for every requirement with a lower bound."""
    for requirement in map(Requirement, lines):
        for bound in requirement.specifier:
            if bound.operator == ">=":
                yield f"{requirement.name}=={bound.version}"


def main() -> None:
    project = tomllib.loads(PROJECT.read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    lines = [*project["dependencies"], *extras["cluster"], *extras["zarr"]]
    print("\n".join(sorted(set(list_lowest(lines)))))


if __name__ == "__main__":
    main()
