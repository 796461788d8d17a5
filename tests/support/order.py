"""Long tests first, with each worker its part of them: none is left for the end, when the other workers are done.

`--dist worksteal` gives each worker as many tests as the others, in a row, and who has none left takes some of the
last of another. What starts processes is long, most of all journeys and recovery; so each worker's row begins with
some of that. Tests that share what they start stay together: those of a module, or of a package.
"""

from collections.abc import Sequence
from pathlib import Path

import pytest

LONGEST = ("journeys", "recovery")  # folders

Group = list[pytest.Item]


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """After the selection by `-m` and `-k`; alike in all workers."""
    workers = getattr(config, "workerinput", {}).get("workercount", 1)
    if workers > 1:
        groups: dict[Path, Group] = {}
        for item in items:
            groups.setdefault(_sharing(item), []).append(item)
        items[:] = rows(list(groups.values()), workers=workers)


def rows(groups: Sequence[Group], *, workers: int) -> list[pytest.Item]:
    """All tests in rows of a length, one for each worker; each begins with its part of the long groups."""
    long = sorted(filter(_is_long, groups), key=_folder)
    short = [test for group in groups if not _is_long(group) for test in group]
    length = -(-sum(map(len, groups)) // workers)
    ordered: list[pytest.Item] = []
    for worker in range(workers):
        row = [test for group in long[worker::workers] for test in group]
        missing = max(0, length - len(row))
        ordered += row + short[:missing]
        del short[:missing]
    return ordered + short


def _sharing(test: pytest.Item) -> Path:
    """Its module, or the package that this lies in."""
    package = test.getparent(pytest.Package)
    return test.path.parent if package is not None and package.path == test.path.parent else test.path


def _is_long(group: Group) -> bool:
    return any(test.get_closest_marker("process") for test in group)


def _folder(group: Group) -> int:
    """The longest first."""
    return next((place for place, name in enumerate(LONGEST) if name in group[0].path.parts), len(LONGEST))
