"""Ages of stored times: what lies ahead proves nothing."""

from datetime import UTC, datetime, timedelta

import pytest

from infra.coordination.ages import AHEAD_TOLERANCE, FOR_EVER, age, lies_ahead

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)


@pytest.mark.parametrize(
    ("ahead", "counts_as"),
    [
        (-timedelta(hours=1), timedelta(hours=1)),
        (timedelta(0), timedelta(0)),
        (AHEAD_TOLERANCE, timedelta(0)),
        (AHEAD_TOLERANCE + MICROSECOND, FOR_EVER),
        (timedelta(hours=1), FOR_EVER),
    ],
)
def test_what_lies_ahead_is_older_than_anything(ahead, counts_as):
    assert age(NOON + ahead, now=NOON) == counts_as
    assert lies_ahead(NOON + ahead, now=NOON) == (counts_as == FOR_EVER)
