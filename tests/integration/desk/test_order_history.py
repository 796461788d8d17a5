"""Each step of an accepted order is logged by the statement that makes it, on every way that an order can go."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.db import connections, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from acceptance import counter_client
from acceptance.models import AcceptedOrder, OrderStep
from audit import graphs
from audit.findings import Result
from audit.order_steps import order_steps
from audit.reading import reading
from counter.contracts import SettlementAnswer
from infra.db.decisions import Person
from settlement.conversions import balancing, converting
from settlement.counter_link import reporting
from settlement.interventions import deciding, disowning
from settlement.interventions.operations import state_of
from settlement.interventions.terms import Terms
from settlement.models import Conversion
from settlement.models.history import Subject
from settlement.venues import state_history
from tests.support.desk_bench import Desk, event, take_in

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "desk"])


def steps(order: AcceptedOrder) -> list[tuple[str, int | None]]:
    """The states that it went through, each with its conversion; times never go back."""
    found = list(OrderStep.objects.filter(order_id=order.pk).order_by("number"))
    assert [step.number for step in found] == list(range(1, len(found) + 1))
    assert [step.from_state for step in found] == ["", *(step.to_state for step in found[:-1])]
    assert [step.at for step in found] == sorted(step.at for step in found)
    return [(step.to_state, step.conversion_id) for step in found]


def taken_in(**changes) -> AcceptedOrder:
    made = event(**changes)
    take_in(made)
    return AcceptedOrder.objects.get(order_id=made.order_id)


def look() -> Result:
    """What the audit says of the steps."""
    result = Result(7, "steps")
    with reading(now=timezone.now()) as both:
        order_steps(both, result)
    return result


@pytest.fixture(autouse=True)
def _no_gap() -> Iterator[None]:
    yield
    found = look()
    assert (found.broken.listed, found.notes) == ([], [])


@pytest.fixture(autouse=True)
def _counter(monkeypatch: pytest.MonkeyPatch) -> None:
    """Counter takes every settlement."""

    def taken(reports: list[Any]) -> SettlementAnswer:
        return SettlementAnswer(taken=[each.order_id for each in reports], refused=[])

    monkeypatch.setattr(counter_client, "report", taken)


def report() -> None:
    reporting._aside.clear()
    reporting.report_settled(clock=timezone.now)


def disown(order: AcceptedOrder) -> None:
    order.refresh_from_db()
    with transaction.atomic(using="desk"):
        disowning.disown(order, now=timezone.now())


def settle(desk: Desk) -> Conversion:
    made = desk.convert()
    assert balancing.book(made, now=timezone.now())
    return made


def test_every_edge_of_the_graph_is_logged_as_an_order_takes_it(desk):
    unwanted = taken_in()
    disown(unwanted)
    order = taken_in()
    desk.venue.before_submit = lambda _: desk.paper.set_price("BTCUSDT", "95000")  # above the band
    missed = desk.convert()
    assert missed.state == "MISSED"
    desk.venue.before_submit = None
    desk.venue.real._tops.clear()
    booked = settle(desk)
    late = taken_in()
    other = settle(desk)
    disown(late)
    report()
    kept = taken_in()
    last = settle(desk)
    report()
    walk = [("RECEIVED", None), ("CONVERTING", missed.pk), ("RECEIVED", missed.pk)]
    walk += [("CONVERTING", booked.pk), ("SETTLED", booked.pk), ("REPORTED", booked.pk)]
    assert steps(order) == walk
    assert steps(unwanted) == [("RECEIVED", None), ("DISOWNED", None)]
    to_settled = [("RECEIVED", None), ("CONVERTING", other.pk), ("SETTLED", other.pk)]
    assert steps(late) == [*to_settled, ("DISOWNED", other.pk)]
    assert steps(kept)[-1] == ("REPORTED", last.pk)
    disown(kept)
    assert steps(kept)[-2:] == [("REPORTED", last.pk), ("DISOWNED", last.pk)]
    taken = set(OrderStep.objects.exclude(from_state="").values_list("from_state", "to_state"))
    assert taken == set(graphs.edges(AcceptedOrder))


def test_an_order_whose_conversion_was_out_of_sight_is_logged_as_it_ends(desk):
    order = taken_in()
    desk.paper.add_fault("reply_lost", path="/api/v3/order$", method="POST", count=1)
    made = desk.convert()
    assert made.state == "UNKNOWN"
    assert steps(order) == [("RECEIVED", None), ("CONVERTING", made.pk)]
    desk.resume(after=20)
    assert steps(order)[2:] == [("SETTLED", made.pk)]


def test_an_order_that_people_release_is_logged_with_what_it_left(desk):
    order = taken_in()
    desk.paper.add_fault("request_lost", path="/api/v3/order$", method="POST", count=1)
    made = desk.convert()
    state_history.advance(made, Conversion.hand_over, at=timezone.now(), by="x", why="nobody answers")
    asked: dict[str, Any] = {"venue": desk.venue, "now": timezone.now() + timedelta(minutes=5)}
    request = deciding.request(
        operation=deciding.OPERATIONS[Subject.CONVERSION, "release"],
        row_id=made.pk,
        seen=state_of(made),
        terms=Terms(),
        reason="the venue is silent",
        evidence="ticket 4711",
        by=Person(1, "ann"),
        **asked,
    )
    deciding.approve(intervention_id=request.pk, by=Person(2, "bob"), note="", **asked)
    assert steps(order)[1:] == [("CONVERTING", made.pk), ("RECEIVED", made.pk)]


def test_an_order_that_comes_again_is_logged_once(desk):
    made = event()
    for _ in range(2):
        take_in(made)
    assert steps(AcceptedOrder.objects.get(order_id=made.order_id)) == [("RECEIVED", None)]


def test_a_step_needs_no_statement_of_its_own(desk):
    """Intake, a round and a report cost as many statements as before there was a log."""
    settle_first = event()
    take_in(settle_first)
    settle(desk)
    report()
    orders = [event() for _ in range(7)]

    def cost(work: Any) -> int:
        with CaptureQueriesContext(connections["desk"]) as asked:
            work()
        return sum(not one["sql"].startswith(("BEGIN", "COMMIT")) for one in asked)

    def a_round() -> None:
        made = converting.convert_waiting(underlying="BTC", venue=desk.venue, now=timezone.now(), books=True)
        assert made is not None
        assert made.state == "BOOKED"

    before = OrderStep.objects.count()
    assert (cost(lambda: take_in(*orders)), cost(a_round), cost(report)) == (3, 5, 2)
    assert OrderStep.objects.count() - before == 4 * len(orders)
