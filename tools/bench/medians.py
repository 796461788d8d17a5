"""The median of several rounds, figure by figure."""

from collections.abc import Sequence
from statistics import median
from typing import Any


def medians(rounds: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The rounds' common shape with the median in place of each number; what is no number is the last round's."""
    return {name: _median([each[name] for each in rounds]) for name in rounds[-1]}


def _median(values: Sequence[Any]) -> Any:
    if all(isinstance(value, int | float) and not isinstance(value, bool) for value in values):
        middle = round(median(values), 3)
        return int(middle) if middle == int(middle) else middle
    if all(isinstance(value, dict) for value in values) and len({tuple(value) for value in values}) == 1:
        return medians(values)
    return values[-1]
