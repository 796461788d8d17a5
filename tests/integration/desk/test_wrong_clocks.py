"""What a wrong clock has dated into the future at the desk: nothing waits for it, and nothing is sent twice for it."""

from datetime import timedelta

import pytest
from django.utils import timezone

from settlement.models import Conversion, VenueHalt
from settlement.venues import halts
from tests.support.desk_bench import assert_settled_once, event, states, take_in

pytestmark = pytest.mark.django_db(transaction=True, databases=["desk"])

POST = {"path": "/api/v3/order$", "method": "POST"}
GET = {"path": "/api/v3/order$", "method": "GET"}
HOUR = timedelta(hours=1)


def in_doubt(desk, fault):
    desk.paper.add_fault(fault, **POST, count=1)
    take_in(event())
    made = desk.convert()
    assert made.state == "UNKNOWN"
    Conversion.objects.update(submitted_at=made.submitted_at + HOUR, due_at=made.submitted_at + HOUR)


def test_what_was_sent_in_the_future_and_executed_is_found_at_the_next_sweep(desk):
    in_doubt(desk, "reply_lost")
    desk.resume()
    assert states() == ["BOOKED"]
    assert_settled_once(desk, venue_orders=1)


def test_what_was_sent_in_the_future_and_lost_is_missed_in_its_usual_time_and_sent_once(desk):
    in_doubt(desk, "request_lost")
    for after in (0, 10, 20):
        desk.resume(after=after)
        assert states() == ["UNKNOWN"]  # too soon to be sure
    for after in (31, 45, 60):
        desk.resume(after=after)
    assert states() == ["MISSED"]
    desk.convert()
    desk.resume(after=61)
    assert_settled_once(desk, venue_orders=1)


def test_a_trade_from_before_the_time_that_was_put_right_still_speaks_against_a_miss(desk):
    in_doubt(desk, "reply_lost")
    Conversion.objects.update(submitted_at=timezone.now() + HOUR)
    desk.paper.add_fault("error_before", **GET, status=400, code=-2013)
    sent = len(desk.venue.submissions)
    for after in (0, 20, 40, 60, 80):
        desk.resume(after=after)
    assert states() == ["UNKNOWN"]
    assert len(desk.venue.submissions) == sent


def test_a_halt_that_began_in_the_future_is_asked_about_at_once(desk):
    now = timezone.now()
    halts.begin(venue=desk.venue.name, reason="a test", now=now + HOUR)
    desk.resume()
    assert VenueHalt.objects.get().lifted_by == "settlement"
