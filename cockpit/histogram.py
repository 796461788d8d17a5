"""Durations counted by size, so that what a million orders took is fifty numbers. Pure.

Buckets grow by a quarter (ten to a power of ten), so a percentile read from them is off by less than an eighth.
"""

from collections.abc import Sequence
from itertools import accumulate

# Upper ends, 10 ms to 502 s; one more bucket holds what took longer.
BOUNDS_SECONDS = tuple(round(0.01 * 10 ** (step / 10), 4) for step in range(48))
BUCKETS = len(BOUNDS_SECONDS) + 1


def percentile_seconds(counts: Sequence[int], share: float) -> float | None:
    """The duration that `share` (0 to 1) of what was counted did not exceed; None if nothing was.

    Within a bucket all are taken to lie evenly on the scale of powers; beyond the last bound the bound is returned.
    """
    wanted = share * sum(counts)
    if wanted <= 0:
        return None
    for bucket, (count, until) in enumerate(zip(counts, accumulate(counts), strict=True)):
        if until >= wanted and count:
            within = 1 - (until - wanted) / count
            return _between(bucket, within)
    return BOUNDS_SECONDS[-1]


def _between(bucket: int, within: float) -> float:
    if bucket == 0:
        return BOUNDS_SECONDS[0] * within
    if bucket == len(BOUNDS_SECONDS):
        return BOUNDS_SECONDS[-1]
    low, high = BOUNDS_SECONDS[bucket - 1], BOUNDS_SECONDS[bucket]
    return low * (high / low) ** within


def added(counts: Sequence[int], more: Sequence[int]) -> list[int]:
    """Both histograms in one."""
    return [count + other for count, other in zip(counts, more, strict=True)]


def since(counts: Sequence[int], earlier: Sequence[int]) -> list[int]:
    """What was counted after an earlier state of the same histogram."""
    return [count - before for count, before in zip(counts, earlier, strict=True)]
