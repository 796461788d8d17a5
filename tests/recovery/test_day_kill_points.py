"""A worker that dies while it states or closes a day leaves no half of it, and the next one finishes it once."""

import signal
from decimal import Decimal

import pytest
from django.utils import timezone

from cockpit import day_work, days
from cockpit.models import DayClose, DayStatement, DayWork
from counter.models import Transfer
from infra.coordination.leader import is_held
from tests.recovery.doomed import DAY_IS_OVER
from tests.recovery.points import POINTS, Work
from tests.support.clearing import owe
from tests.support.streaming import until

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "desk"])
POINTS_OF_A_DAY = [name for name, point in POINTS.items() if point.work is Work.DAY]
KEPT = "after the commit of keeping a day's statement or close"


def later():
    return timezone.now() + DAY_IS_OVER


@pytest.fixture
def day():
    """A day on which something was booked."""
    owe(Decimal(100))
    return Transfer.objects.latest("id").created_at.date()


@pytest.fixture
def at_venue(paper_venue, venue_account):
    """The settings of a worker that asks the paper venue."""
    _, key, secret = venue_account
    return {"VENUE_URL": paper_venue.url, "VENUE_API_KEY": key, "VENUE_API_SECRET": secret}


def die(doomed, point, settings):
    """The server takes a moment to find out that who held the lock is dead: the next worker comes when it has."""
    doomed.begin(Work.DAY, point, settings)
    assert doomed.end() == -signal.SIGKILL
    until(lambda: not is_held("days", using="default"))


@pytest.mark.parametrize("point", POINTS_OF_A_DAY)
def test_a_worker_that_dies_while_it_states_a_day(doomed, day, point, venue, at_venue):
    asked = day_work.ask_statement(day=day, by="ann", now=later())
    die(doomed, point, at_venue)
    asked.refresh_from_db()
    # Both or neither: the statement, and that it was made.
    assert DayStatement.objects.count() == (asked.ended_at is not None) == (point == KEPT)

    assert day_work.work_off(clock=later, venue=venue) == (point != KEPT)
    statement = DayStatement.objects.get()
    assert (statement.day, statement.made_by, statement.content) == (day, "ann", days.add_up(day))
    assert {outcome for _, outcome, *_ in statement.content["venue"]} == {"TOLD"}
    assert DayWork.objects.get().statement_id == statement.pk
    assert day_work.work_off(clock=later, venue=venue) == 0


@pytest.mark.parametrize("point", POINTS_OF_A_DAY)
def test_a_worker_that_dies_while_it_closes_a_day(doomed, day, point, venue, at_venue):
    statement = days.state(day=day, by="ann", now=later())
    asked = day_work.ask_close(statement=statement, by="bob", now=later(), note="nobody asked the venue")
    die(doomed, point, at_venue)
    asked.refresh_from_db()
    assert DayClose.objects.count() == (asked.ended_at is not None) == (point == KEPT)

    assert day_work.work_off(clock=later, venue=venue) == (point != KEPT)
    assert DayClose.objects.get().note == "nobody asked the venue"
    assert str(DayClose.objects.get()) == f"{day} closed by ann and bob"
    assert DayWork.objects.get().refusal == ""
    assert day_work.work_off(clock=later, venue=venue) == 0
