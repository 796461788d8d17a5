"""Running the audit: read both snapshots, ask the venue, and look again at what seems broken.

Invariant: nothing is called broken that was seen only once. The two databases and the venue cannot be read in one
moment; each check allows for that by the order in which they are read (`snapshots`), and what still looks broken is
read anew after AUDIT_RECHECK_AFTER_SECONDS: what was only passing is then gone or shows elsewhere.
"""

import time
from collections.abc import Sequence
from datetime import datetime, timedelta

from django.conf import settings

from audit.findings import Report, Result
from audit.reading import reading
from audit.registry import INVARIANTS, Invariant
from settlement.venues.protocol import Venue


def run(*, now: datetime, venue: Venue | None) -> Report:
    """Check all invariants. See `audit.run`."""
    started = time.monotonic()
    results = {result.number: result for result in _check(INVARIANTS, now, venue)}
    suspects = [each for each in INVARIANTS if results[each.number].broken.total]
    if suspects:
        time.sleep(settings.AUDIT_RECHECK_AFTER_SECONDS)
        later = now + timedelta(seconds=time.monotonic() - started)
        for again in _check(suspects, later, venue):
            again.broken = again.broken.also_in(results[again.number].broken)
            results[again.number] = again
    return Report(at=now, seconds=time.monotonic() - started, results=tuple(results.values()))


def _check(invariants: Sequence[Invariant], now: datetime, venue: Venue | None) -> list[Result]:
    results, questions = [], []
    with reading(now=now) as both:
        for invariant in invariants:
            result = Result(invariant.number, invariant.name)
            question = invariant.check(both, result)
            results.append(result)
            if question is not None:
                questions.append(question)
    for ask in questions:
        ask(venue)
    return results
