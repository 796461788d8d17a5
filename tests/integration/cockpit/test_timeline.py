"""One order's timeline tells all of it, in order of time."""

import json
from collections import Counter
from datetime import timedelta
from decimal import Decimal

import pytest
from django.db import DatabaseError
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from acceptance.models import AcceptedOrder, Conflict
from cockpit.timeline import desk_side, timeline
from counter.models import Customer, Transfer
from infra.db.decisions import Person
from settlement.interventions import asking, deciding
from settlement.interventions.operations import state_of
from settlement.interventions.terms import Terms
from settlement.models import Allocation, Attempt, Conversion, DeskTransfer, Fill
from settlement.models.history import Subject
from settlement.venues import halts, state_history
from tests.support import desk
from tests.support.factories import make_customer, make_option, place_close, place_open
from tests.support.staff import staff
from tests.support.tampering import execute, tampered


def of(order, kind=None):
    found = timeline(order_id=order.id, now=timezone.now())
    return found if kind is None else [event for event in found.events if event.kind == kind]


def test_settled_order_shows_every_step_of_both_systems_in_order_of_time(settled, venue):
    opened, closed = settled
    desk.run_desk(venue)
    told = of(opened)
    assert told.finished
    assert [event.at for event in told.events] == sorted(event.at for event in told.events)
    kinds = Counter(event.kind for event in told.events)
    assert kinds.keys() >= {
        *("quote", "ledger", "outbox", "intake", "netting", "attempt", "fill", "share", "report", "state")
    }
    conversion = Conversion.objects.latest("id")
    assert kinds["fill"] == Fill.objects.filter(conversion=conversion).count() > 0
    [netting] = of(opened, "netting")
    assert f"order {closed.id} CLOSE" in dict(netting.facts)["netted with"]
    states = [event.title.split(": ")[1] for event in of(opened, "state")]
    assert states == ["PLANNED", "PLANNED → SUBMITTED", "SUBMITTED → FILLED", "FILLED → BOOKED"]


def test_ledger_events_hold_every_leg_of_both_books(settled, venue):
    opened, _ = settled
    desk.run_desk(venue)
    legs = [value for event in of(opened, "ledger") for name, value in event.facts if ": " in name]
    stored = [*Transfer.objects.filter(order_id=opened.id)]
    stored += DeskTransfer.objects.filter(conversion_id=Conversion.objects.latest("id").pk)
    assert Counter(legs) == Counter(f"{leg.amount:,f} {leg.asset}" for leg in stored)


def test_result_adds_up_from_the_books(settled, venue):
    opened, closed = settled
    desk.run_desk(venue)
    for order, sign in ((opened, 1), (closed, -1)):
        result, share = of(order).result, Allocation.objects.get(order__order_id=order.id)
        assert result.slippage == sign * (share.due - share.value)
        assert result.net == order.spread + share.slippage - share.fee + share.rounding
        assert abs(result.slippage_bps - result.slippage / order.fair * 10_000) <= Decimal("0.005")


def test_payout_at_fill_bears_its_own_fee(two_systems, venue):
    opened = place_open(make_customer(), make_option(), contracts=50)
    desk.run_desk(venue)
    closed = place_close(opened, payout="at_fill")
    desk.run_desk(venue)
    result, share = of(closed).result, Allocation.objects.get(order__order_id=closed.id)
    assert (result.fee, result.fee_of_customer) == (0, share.fee)
    assert result.net == result.rounding == share.value - share.fee - share.due
    [paid] = [event for event in of(closed, "ledger") if event.system == "counter"]
    assert dict(paid.facts).keys() >= {f"payout: clearing → {Customer.objects.get(pk=closed.customer_id)}"}


def test_order_under_way_is_told_as_far_as_it_has_come(settled, venue):
    opened, _ = settled
    assert {event.system for event in of(opened).events} == {"counter"}
    assert not of(opened).finished
    desk.deliver()
    assert [event.title for event in of(opened, "intake")] == ["Taken in by the queue"]
    desk.convert(venue)
    assert of(opened, "fill")
    assert of(opened).result is None
    desk.balance()
    assert of(opened).result is not None
    assert not of(opened).finished


def test_attempts_show_what_went_and_came_without_keys(settled, venue, paper_venue, venue_account):
    paper_venue.add_fault("reply_lost", method="POST", path="/api/v3/order$", count=1)
    desk.run_desk(venue)
    [sent] = of(settled[0], "attempt")
    raw = dict(sent.raw)
    assert json.loads(raw["request"])["client_order_id"] == Conversion.objects.latest("id").client_order_id
    assert sent.title.endswith("unknown")
    assert raw["answer"]
    for secret in venue_account[1:]:
        assert secret not in str(sent.raw)


def test_conversion_that_came_to_nothing_is_told_with_the_one_that_followed(settled, venue, paper_venue):
    opened, _ = settled
    real = venue.submit

    def submit_above_the_band(**order):
        paper_venue.set_price("BTCUSDT", "95000")
        return real(**order)

    venue.submit = submit_above_the_band
    desk.deliver()
    desk.convert(venue)
    venue.submit = real
    paper_venue.set_price("BTCUSDT", "90000")
    venue._tops.clear()
    missed = Conversion.objects.latest("id")
    assert missed.state == "MISSED"
    assert "came to nothing" in of(opened, "netting")[0].title
    desk.run_desk(venue)
    titles = [event.title for event in of(opened, "netting")]
    assert [title.split(":")[0] for title in titles] == [
        f"Claimed by conversion {missed.pk}, which came to nothing",
        f"Netted into conversion {Conversion.objects.latest('id').pk}",
    ]
    assert len(of(opened, "attempt")) == 2


def test_steps_of_an_order_are_told_as_they_were_logged(settled, venue):
    opened, _ = settled
    desk.run_desk(venue)
    booked = Conversion.objects.latest("id").pk
    told = of(opened, "step")
    assert [event.title for event in told] == [
        "Order: RECEIVED",
        f"Order: RECEIVED → CONVERTING of conversion {booked}",
        f"Order: CONVERTING → SETTLED of conversion {booked}",
        f"Order: SETTLED → REPORTED of conversion {booked}",
    ]
    assert [dict(event.facts) for event in told] == [{"step": str(number)} for number in (1, 2, 3, 4)]


def test_order_that_is_older_than_the_log_of_steps_is_told_what_is_likely(settled, venue):
    """What came to nothing while it waited had claimed it, most likely; the database's own steps say so."""
    opened, _ = settled
    desk.deliver()
    execute("desk", "UPDATE acceptance_acceptedorder SET state = 'CONVERTING', conversion_id = 7")
    assert [dict(event.facts).get("logged by") for event in of(opened, "step")] == [
        None,
        "the database, for what moved it",
    ]
    row_id = AcceptedOrder.objects.get(order_id=opened.id).pk
    with tampered(
        "desk", "acceptance_orderstep", f"DELETE FROM acceptance_orderstep WHERE order_id = {row_id}"
    ):
        assert of(opened, "step") == []
        assert of(opened, "intake")


def test_conflict_and_halt_are_told(settled, venue):
    opened, _ = settled
    halts.begin(venue="binance", reason="the key was refused", now=timezone.now())
    desk.deliver()
    Conflict.objects.create(
        source="crossbook",
        order_id=opened.id,
        reason=Conflict.Reason.OTHER_CONTENT,
        received={"coin": "7"},
        digest="d",
        door=AcceptedOrder.Door.PULL,
        noted_at=timezone.now(),
    )
    assert len(of(opened, "conflict")) == 1
    assert [event.title for event in of(opened, "halt")] == ["binance halted: the key was refused"]


def test_desk_that_is_away_leaves_counters_half(settled, monkeypatch):
    def away(order_id):
        raise DatabaseError("connection refused")

    monkeypatch.setattr(desk_side, "read_order", away)
    told = of(settled[0])
    assert "connection refused" in told.missing
    assert {event.system for event in told.events} == {"counter"}


def test_order_that_neither_system_knows_has_no_timeline(two_systems):
    assert timeline(order_id=987_654_321, now=timezone.now()) is None
    answer = staff("staff", superuser=True).get(reverse("order_timeline", args=[987_654_321]))
    assert answer.status_code == 404


def test_page_takes_as_many_queries_for_a_large_conversion_as_for_a_small_one(
    settled, venue, django_assert_max_num_queries
):
    option, customer = make_option(), make_customer()
    for _ in range(40):
        place_open(customer, option)
    desk.run_desk(venue)
    with django_assert_max_num_queries(12):
        assert of(settled[0]).finished
    with django_assert_max_num_queries(12, using="desk"):
        of(settled[0])


@pytest.mark.parametrize("missing", ["view_syncorder", "view_acceptedorder", "view_conversion"])
def test_staff_without_the_right_to_see_orders_sees_no_timeline(settled, missing):
    rights = {"view_syncorder", "view_acceptedorder", "view_conversion"} - {missing}
    client = staff("staff", *rights)
    assert client.get(reverse("order_timeline", args=[settled[0].id])).status_code == 403
    assert client.get(reverse("find_order"), {"q": str(settled[0].id)}).status_code == 403


def test_nobody_who_is_not_staff_sees_a_timeline(settled):
    answer = Client().get(reverse("order_timeline", args=[settled[0].id]))
    assert answer.status_code == 302
    assert "/admin/login/" in answer["Location"]


def test_people_who_stepped_in_are_named(settled, venue, paper_venue):
    opened, _ = settled
    paper_venue.add_fault("reply_lost", method="POST", path="/api/v3/order$", count=1)
    desk.deliver()
    desk.convert(venue)
    stuck = Conversion.objects.latest("id")
    deciding.request(
        operation=deciding.OPERATIONS[Subject.CONVERSION, "take_over"],
        row_id=stuck.pk,
        seen=state_of(stuck),
        terms=Terms(),
        reason="the venue is silent",
        evidence="",
        by=Person(1, "ann"),
        venue=venue,
        now=timezone.now(),
    )
    asked, decided = of(opened, "intervention")
    assert asked.title.startswith("ann asked for")
    assert dict(asked.facts)["reason"] == "the venue is silent"
    assert decided.title.endswith("applied by ann")
    handed = [event for event in of(opened, "state") if event.system == "people"]
    assert [dict(event.facts)["by"] for event in handed] == ["ann"]


def test_what_was_asked_for_days_on_end_is_told_by_its_first_and_last_calls(settled, venue, paper_venue):
    opened, _ = settled
    paper_venue.add_fault("reply_lost", method="POST", path="/api/v3/order$", count=1)
    desk.deliver()
    desk.convert(venue)
    sent = Attempt.objects.latest("id")
    now = timezone.now()
    questions = [
        Attempt(
            subject=sent.subject,
            subject_id=sent.subject_id,
            call="ask",
            request={},
            sent_at=now + number * timedelta(seconds=10),
            answer=f"no such order, {number}",
        )
        for number in range(300)
    ]
    Attempt.objects.bulk_create(questions)
    told = of(opened, "attempt")
    assert len(told) == 101
    assert told[0].title == "Order sent to the venue: unknown"
    assert [event.title for event in told if "more calls" in event.title] == [
        "201 more calls like these, not shown here"
    ]
    assert dict(told[-1].raw)["answer"] == "no such order, 299"


def test_at_one_moment_a_decision_comes_before_what_came_of_it(settled, venue, paper_venue):
    opened, _ = settled
    paper_venue.add_fault("reply_lost", method="POST", path="/api/v3/order$", count=1)
    desk.deliver()
    desk.convert(venue)
    stuck, now = Conversion.objects.latest("id"), timezone.now()
    state_history.advance(stuck, Conversion.hand_over, at=now, by="ann", why="", due_at=None)
    operation = deciding.OPERATIONS[Subject.CONVERSION, "book_by_hand"]
    asked = deciding.request(
        operation=operation,
        row_id=stuck.pk,
        seen=state_of(stuck),
        terms=asking.propose(stuck, venue, now),
        reason="the venue is silent",
        evidence="ticket 4711",
        by=Person(1, "ann"),
        venue=venue,
        now=now,
    )
    deciding.approve(intervention_id=asked.pk, by=Person(2, "bob"), note="", venue=venue, now=timezone.now())
    decided = next(event for event in of(opened, "intervention") if "applied by bob" in event.title)
    told = [event for event in of(opened).events if event.at == decided.at and event.kind != "attempt"]
    assert [event.kind for event in told][:4] == ["intervention", "state", "state", "ledger"]
    assert [event.title.split(": ")[-1] for event in told[1:3]] == ["MANUAL → FILLED", "FILLED → BOOKED"]
