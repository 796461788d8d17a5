"""Settlements are reported together: who settles while somebody reports leaves it to them, and nothing is left over."""

from functools import partial
from typing import Any

import pytest
from django.utils import timezone

from acceptance import counter_client
from infra.coordination.leader import exclusive
from settlement import tasks
from settlement.conversions import balancing
from settlement.counter_link import reporting
from settlement.task_triggers import BALANCE
from settlement.venues import ccxt_venue
from tests.support.desk_bench import at_once, event, order_states, take_in

pytestmark = pytest.mark.django_db(transaction=True, databases=["desk"])


class Counter:
    """Takes every settlement, and notes how many came at a time."""

    def __init__(self) -> None:
        self.told: list[int] = []

    def report(self, reports: Any) -> Any:
        self.told.append(len(reports))
        return counter_client.SettlementAnswer(taken=[each.order_id for each in reports], refused=[], held=[])


@pytest.fixture
def counter(monkeypatch: pytest.MonkeyPatch) -> Counter:
    made = Counter()
    monkeypatch.setattr(counter_client, "report", made.report)
    return made


def rest_of_chain() -> Any:
    """Run the first task of a chain; what is left of the chain then."""
    convert: Any = tasks.convert
    convert.push_request(chain=["settlement.balance"])
    try:
        convert.run("BTC")
        return convert.request.chain
    finally:
        convert.pop_request()


def test_who_settles_calls_for_a_report_unless_somebody_reports(desk, monkeypatch):
    monkeypatch.setattr(ccxt_venue, "_venue", desk.venue)
    take_in(event())
    assert rest_of_chain() == ["settlement.balance"]
    take_in(event())
    with exclusive(reporting.REPORTING, using="desk") as alone:
        assert alone
        assert at_once(rest_of_chain) == [None]


def test_what_cannot_be_booked_at_once_is_tried_again_also_while_somebody_reports(desk, sent, monkeypatch):
    monkeypatch.setattr(ccxt_venue, "_venue", desk.venue)

    def fail(*given: Any, **more: Any) -> None:
        raise RuntimeError("an error of the moment")

    take_in(event())
    with exclusive(reporting.REPORTING, using="desk"), monkeypatch.context() as during:
        during.setattr(balancing, "_enter", fail)
        assert at_once(rest_of_chain) == [None]
    assert order_states() == {"CONVERTING"}
    assert BALANCE in sent
    assert balancing.balance_filled(now=timezone.now()) == 1
    assert order_states() == {"SETTLED"}


@pytest.mark.parametrize("had_some", [True, False], ids=["after a report", "with nothing to report before"])
def test_what_is_settled_under_the_lock_is_reported_by_its_holder(desk, counter, monkeypatch, had_some):
    if had_some:
        desk.settle(event())
    report_settled = reporting.report_settled
    late = iter([event(), event()])

    def and_meanwhile(**given: Any) -> int:
        taken = report_settled(**given)
        for one in late:
            at_once(partial(desk.settle, one))
            assert at_once(reporting.is_under_way) == [True]
        return taken

    monkeypatch.setattr(reporting, "report_settled", and_meanwhile)
    assert reporting.report_until_done(clock=timezone.now) == 2 + had_some
    assert order_states() == {"REPORTED"}
    assert counter.told == [1, 2] if had_some else [2]


def test_who_reports_hands_on_after_a_while(desk, counter, sent, monkeypatch):
    """Under load there is more each time; a worker that is told to end would wait for this task until it is killed."""
    report_settled, paused = reporting.report_settled, []
    monkeypatch.setattr(reporting, "REPORTS_FOR_SECONDS", 0.0)
    monkeypatch.setattr(reporting.time, "sleep", paused.append)

    def and_one_more(**given: Any) -> int:
        taken = report_settled(**given)
        at_once(partial(desk.settle, event()))
        return taken

    desk.settle(event())
    sent.clear()
    with monkeypatch.context() as during:
        during.setattr(reporting, "report_settled", and_one_more)
        assert reporting.report_until_done(clock=timezone.now) == 1
    assert sent.count(BALANCE) == 1
    assert reporting.report_until_done(clock=timezone.now) == 1
    assert sent.count(BALANCE) == 1, "nothing is left"


def test_a_lone_settlement_is_reported_at_once(desk, counter, monkeypatch):
    """The pause comes after a report, not before it."""
    desk.settle(event())
    paused = []
    monkeypatch.setattr(reporting.time, "sleep", lambda seconds: paused.append(list(counter.told)))
    reporting.report_until_done(clock=timezone.now)
    assert paused == [[1]]
    reporting.report_until_done(clock=timezone.now)
    assert paused == [[1]], "nothing was reported, so nothing is gathered"
