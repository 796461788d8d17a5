"""Each worker's row of tests begins with long ones, and what shares a process stays together."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.support.order import rows


@dataclass(frozen=True)
class Test:
    """What is asked of an item."""

    __test__ = False

    path: Path
    number: int
    starts: bool = False

    def get_closest_marker(self, name: str) -> bool:
        return name == "process" and self.starts


def group(name: str, count: int, *, starts: bool = False) -> Any:
    return [Test(Path("tests", name), number, starts) for number in range(count)]


GROUPS = [
    group("integration/short.py", 20),
    group("integration/some.py", 3, starts=True),
    group("journeys/all.py", 4, starts=True),
    group("recovery/kills.py", 5, starts=True),
    group("unit/short.py", 20),
]


@pytest.mark.parametrize("workers", [2, 3, 4])
def test_each_row_begins_with_long_tests_and_none_is_lost(workers: int) -> None:
    ordered: Any = rows(GROUPS, workers=workers)
    assert sorted(ordered, key=str) == sorted((test for of in GROUPS for test in of), key=str)
    length = -(-len(ordered) // workers)
    for worker in range(min(workers, 3)):
        row = ordered[worker * length : (worker + 1) * length]
        assert row[0].starts
        starting = [test.starts for test in row]
        assert starting == sorted(starting, reverse=True)


def test_the_longest_come_first_and_groups_stay_whole() -> None:
    ordered: Any = rows(GROUPS, workers=2)
    assert ordered[:7] == GROUPS[2] + GROUPS[1]
    assert ordered[26:31] == GROUPS[3]


def test_more_long_tests_than_a_row_holds_are_all_there() -> None:
    long = [group(f"recovery/{number}.py", 3, starts=True) for number in range(5)]
    ordered: Any = rows([*long, group("unit/a.py", 2)], workers=2)
    assert len(ordered) == 17
