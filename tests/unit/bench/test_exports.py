"""What the bench of exports says of a file that it took."""

import pytest

from tools.bench.exports.__main__ import Taken


@pytest.mark.parametrize(
    ("part", "mib"), [(0, 100.0), (0.25, 100.0), (0.5, 120.0), (0.75, 120.0), (1, 110.0)]
)
def test_memory_is_what_was_seen_last_by_then_and_first_of_all_at_the_beginning(part, mib):
    taken = Taken("orders", seconds=4.0, memory=[(0.000001, 100.0), (1.5, 120.0), (4.0, 110.0)])
    assert taken.memory_at(part) == mib
