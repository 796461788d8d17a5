"""Counting what came back: cheap while the clock runs, exact afterwards."""

import json
from collections import Counter
from collections.abc import Sequence

from tools.bench.load.wire import Answer

ACCEPTED = b'"status":201'
NOT_NOW = b'"status":503'
KEPT_BYTES = 256 * 2**20


def percentile(values: Sequence[float], share: float) -> float | None:
    """The nearest-rank percentile of all values, or None of none."""
    if not values:
        return None
    return sorted(values)[min(len(values) - 1, int(share * len(values)))]


class Counts:
    """Counts of orders by what became of them, and how long the requests with an accepted order took."""

    def __init__(self) -> None:
        self.accepted = self.unavailable = self.refused = 0
        self.accepted_in_time = 0
        self.seconds: list[float] = []
        self._doubtful: list[bytes] = []
        self._kept_bytes = 0

    def add(self, answer: Answer, *, orders: int, seconds: float, in_time: bool, timed: bool) -> None:
        """Count one answer: `in_time` for the rate, `timed` for the percentiles."""
        accepted = {200: answer.body.count(ACCEPTED), 201: orders}.get(answer.status, 0)
        self.accepted += accepted
        if in_time:
            self.accepted_in_time += accepted
        if timed and accepted:
            self.seconds.append(seconds)
        if accepted == orders:
            return
        not_now = {200: answer.body.count(NOT_NOW), 503: orders}.get(answer.status, 0)
        self.unavailable += not_now
        self.refused += orders - accepted - not_now
        if self._kept_bytes < KEPT_BYTES:
            self._doubtful.append(answer.body)
            self._kept_bytes += len(answer.body)

    def codes(self) -> dict[str, int]:
        """How often each error code stands in the answers that were kept (all, unless they were very many)."""
        found: Counter[str] = Counter()
        for body in self._doubtful:
            try:
                read = json.loads(body)
                errors = [read] if "error" in read else [each for each in read["results"] if "error" in each]
                found.update(each["error"]["code"] for each in errors)
            except (ValueError, KeyError, TypeError):
                found["no_json"] += 1
        return dict(found.most_common())
