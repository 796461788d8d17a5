"""Two systems that have worked and been counted, and one that has lost a database.

Django is imported late: this may load before its set-up.
"""

from collections.abc import Iterator
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from tests.support.venue import PaperVenue

if TYPE_CHECKING:
    from cockpit.models import Tally
    from counter.orders.requests import Order
    from settlement.venues.ccxt_venue import CcxtVenue
    from tests.support.cockpit import Clock
    from tests.support.history import History


@pytest.fixture(autouse=True)
def fresh() -> Iterator[None]:
    """What another test has read is not shared with this one."""
    from cockpit.best_execution import shared_last_day
    from cockpit.risk import shared_risk
    from cockpit.snapshot import shared

    for each in (shared, shared_risk, shared_last_day):
        each.forget()
    yield
    for each in (shared, shared_risk, shared_last_day):
        each.forget()


@pytest.fixture
def clock(two_systems: None) -> "Clock":
    """Rollups at times of the test's own, none taken yet."""
    from tests.support.cockpit import Clock

    return Clock()


@pytest.fixture
def worked(clock: "Clock", venue: "CcxtVenue", paper_venue: PaperVenue) -> "Tally":
    """A history with a refusal of the venue, counted; every process has done its part and told of it."""
    from tests.support.cockpit import work

    return work(clock, venue, paper_venue)


@pytest.fixture
def past(written_history: "History") -> None:
    """A little history, all in order."""


@pytest.fixture
def settled(two_systems: None, venue: "CcxtVenue") -> "tuple[Order, Order]":
    """Three orders of one conversion: two opens and a close that crosses with them. The last two."""
    from tests.support.desk import run_desk
    from tests.support.factories import make_customer, make_option, place_close, place_open

    option = make_option()
    first = place_open(make_customer(), option, contracts=200)
    run_desk(venue)
    return place_open(make_customer(), option, contracts=150), place_close(first, contracts=40)


@pytest.fixture
def today(past: None, venue: "CcxtVenue") -> date:
    """The day of the history: of its newest leg, however close to midnight that was written. The venue has told it."""
    from django.utils import timezone

    from counter.models import Transfer
    from settlement.reconciliation import venue_statement

    day = Transfer.objects.latest("id").created_at.date()
    venue_statement.ask(day, venue=venue, now=timezone.now() + timedelta(days=1, minutes=10))
    return day


@pytest.fixture
def later(today: date) -> datetime:
    """When that day is over for the books."""
    from django.utils import timezone

    return timezone.now() + timedelta(days=1, minutes=10)


@pytest.fixture
def desk_away() -> Iterator[None]:
    """The desk's database is where nobody answers."""
    from django.db import connections

    where = connections["desk"].settings_dict
    was = where["HOST"]
    connections["desk"].close()
    where["HOST"] = "/nowhere"
    yield
    connections["desk"].close()
    where["HOST"] = was
