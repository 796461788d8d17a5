"""The desk's HTTP calls to counter's real internal API: pull, acknowledge and report, each as often as one likes."""

import socket
import threading
from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from django.db import connections
from django.utils import timezone

from acceptance import counter_client, pulling
from acceptance.counter_client import CounterRefused, CounterUnavailable
from acceptance.models import AcceptedOrder, Conflict
from counter.api import internal
from counter.contracts import DESK_TAG, CoinCondition, SettlementReport
from counter.models import DeskCondition, SyncOrder
from counter.orders import outbox
from infra.coordination import clock
from infra.http_client import signatures
from settlement.counter_link import reporting
from settlement.models import Allocation
from tests.support import desk as steps
from tests.support.databases import held_account
from tests.support.desk_bench import event, order_states, take_in
from tests.support.factories import make_customer, make_option, place_close, place_open

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "desk"])


@pytest.fixture(autouse=True)
def counter(two_systems: None, live_server: Any, settings: Any) -> Iterator[None]:
    """Counter's web on a port of its own, and a desk that knows where."""
    settings.COUNTER_URL = live_server.url
    counter_client._local.__dict__.clear()
    yield
    counter_client._session().close()
    counter_client._local.__dict__.clear()


def placed(count: int = 3) -> list[int]:
    option, customer = make_option(), make_customer()
    return [place_open(customer, option).id for _ in range(count)]


def pull(**asked: int) -> list[int]:
    return [found.order_id for found in counter_client.pull(**{"min_age_ms": 0, "limit": 100, **asked})]


def sync_states() -> set[str]:
    return set(SyncOrder.objects.values_list("state", flat=True))


def pull_all() -> int:
    return pulling.pull_unsynced(min_age_ms=0, now=timezone.now())


def settled(venue: Any, count: int = 2) -> list[int]:
    """Orders that the desk has settled and not yet reported."""
    ids = placed(count)
    pull_all()
    steps.convert(venue)
    steps.balance()
    return ids


def test_what_is_not_acknowledged_is_offered_again_and_oldest_first():
    ids = placed()
    assert pull() == pull() == ids
    assert pull(limit=2) == ids[:2]
    assert pull(min_age_ms=60_000) == []
    counter_client.acknowledge(ids[:1])
    counter_client.acknowledge(ids[:1])
    assert pull() == ids[1:]


def test_a_pull_takes_in_and_acknowledges_everything_once(monkeypatch):
    monkeypatch.setattr(pulling, "PULL_LIMIT", 2)
    ids = placed(5)
    assert pull_all() == 5
    assert pull_all() == 0
    assert sync_states() == {"SYNCED"}
    assert set(AcceptedOrder.objects.values_list("order_id", "door")) == {(id_, "pull") for id_ in ids}


def test_an_order_that_is_stored_but_whose_acknowledgement_was_lost_is_acknowledged_by_the_next_pull():
    placed()
    steps.deliver(acknowledge=False)
    assert sync_states() == {"PENDING"}
    assert pull_all() == 0
    assert sync_states() == {"SYNCED"}


def test_a_conflict_is_not_acknowledged_and_holds_up_no_other():
    first, second = placed(2)
    take_in(msgspec.structs.replace(counter_client.pull(min_age_ms=0, limit=1)[0], contracts=99))
    assert pull_all() == 1
    assert pull() == [first]
    assert list(AcceptedOrder.objects.values_list("order_id", "contracts")) == [(first, 99), (second, 1)]
    assert Conflict.objects.get().order_id == first


def test_an_order_that_the_database_refuses_holds_up_no_other_and_comes_in_once_it_can():
    ids = placed(5)
    with connections["desk"].cursor() as cursor:
        cursor.execute(
            f"ALTER TABLE acceptance_acceptedorder ADD CONSTRAINT not_this CHECK (order_id <> {ids[2]}) NOT VALID"
        )
    try:
        assert pull_all() == 4
        assert pull() == [ids[2]]
    finally:
        with connections["desk"].cursor() as cursor:
            cursor.execute("ALTER TABLE acceptance_acceptedorder DROP CONSTRAINT not_this")
    assert pull_all() == 1
    assert sync_states() == {"SYNCED"}


def test_more_conflicts_than_a_page_hide_no_order_behind_them(monkeypatch):
    monkeypatch.setattr(pulling, "PULL_LIMIT", 2)
    monkeypatch.setattr(pulling, "MAX_PULLS", 1)
    ids = placed(6)
    take_in(
        *(
            msgspec.structs.replace(found, contracts=99)
            for found in counter_client.pull(min_age_ms=0, limit=4)
        )
    )
    assert pull_all() == 2
    assert pull() == ids[:4]
    assert set(AcceptedOrder.objects.filter(contracts=1).values_list("order_id", flat=True)) == set(ids[4:])


def test_settlements_are_reported_once_however_often(venue):
    ids = settled(venue)
    assert reporting.report_settled(clock=timezone.now) == 2
    assert reporting.report_settled(clock=timezone.now) == 0
    assert (order_states(), sync_states()) == ({"REPORTED"}, {"SETTLED"})
    for share in Allocation.objects.select_related("order", "conversion"):
        order = SyncOrder.objects.get(pk=share.order.order_id)
        assert order.pk in ids
        assert (order.settlement_due, order.settlement_fee) == (share.due, share.fee)
        assert (order.conversion_id, order.settlement_price) == (share.conversion_id, share.conversion.price)


def test_a_report_whose_answer_was_lost_is_taken_again_without_effect(venue):
    opening = place_open(make_customer(), make_option(), contracts=2)
    pull_all()
    steps.convert(venue)
    steps.balance()
    reporting.report_settled(clock=timezone.now)
    close = place_close(opening, payout="at_fill")
    pull_all()
    steps.convert(venue)
    steps.balance()
    share = Allocation.objects.select_related("order", "conversion").latest("order_id")
    report = steps.settlement_report(share)
    assert share.order.order_id == close.id
    assert counter_client.report([report]).taken == [close.id]  # and the desk dies before it notes that
    paid = SyncOrder.objects.get(pk=close.id).amount

    assert reporting.report_settled(clock=timezone.now) == 1
    assert order_states() == {"REPORTED"}
    assert SyncOrder.objects.get(pk=close.id).amount == paid == share.due > 0


def test_many_settlements_go_in_batches_and_each_arrives(venue, monkeypatch):
    monkeypatch.setattr(reporting, "REPORT_ORDERS", 3)
    settled(venue, 8)
    assert reporting.report_settled(clock=timezone.now) == 8
    assert order_states() == {"REPORTED"}


def test_what_counter_refuses_stays_settled_and_holds_up_no_other(venue, monkeypatch):
    monkeypatch.setattr(reporting, "REPORT_ORDERS", 1)
    first, second, third = settled(venue, 3)
    stranger = event(order_id=second + 1000)
    AcceptedOrder.objects.filter(order_id=second).update(
        order_id=stranger.order_id
    )  # counter does not know it
    assert reporting.report_settled(clock=timezone.now) == 2
    left = AcceptedOrder.objects.get(state="SETTLED")
    assert left.order_id == stranger.order_id
    assert set(SyncOrder.objects.values_list("id", "state")) == {
        (first, "SETTLED"),
        (second, "SYNCED"),
        (third, "SETTLED"),
    }


def test_what_counter_cannot_read_waits_alone_and_is_told_again_later(venue, monkeypatch):
    settled(venue, 5)
    unreadable = AcceptedOrder.objects.order_by("id")[2]
    AcceptedOrder.objects.filter(pk=unreadable.pk).update(order_id=0)  # no message may carry it
    told: list[int] = []
    report = counter_client.report

    def telling(reports):
        told.append(len(reports))
        return report(reports)

    monkeypatch.setattr(counter_client, "report", telling)
    now = timezone.now()
    assert reporting.report_until_done(clock=lambda: now) == 4
    assert list(AcceptedOrder.objects.filter(state="SETTLED")) == [unreadable]

    told.clear()
    assert reporting.report_until_done(clock=lambda: now) == 0
    assert told == []
    AcceptedOrder.objects.filter(pk=unreadable.pk).update(order_id=unreadable.order_id)
    assert reporting.report_until_done(clock=lambda: now + reporting.REFUSED_WAITS) == 1
    assert order_states() == {"REPORTED"}


def test_a_settlement_that_counter_fails_at_waits_alone(venue, monkeypatch):
    ids = settled(venue, 5)
    take = internal.take_reports

    def failing(*, reports, now):
        if ids[2] in [report.order_id for report in reports]:
            raise RuntimeError("an error of ours")
        return take(reports=reports, now=now)

    monkeypatch.setattr(internal, "take_reports", failing)
    now = timezone.now()
    assert reporting.report_until_done(clock=lambda: now) == 4
    assert AcceptedOrder.objects.get(state="SETTLED").order_id == ids[2]
    monkeypatch.setattr(internal, "take_reports", take)
    assert reporting.report_until_done(clock=lambda: now + reporting.REFUSED_WAITS) == 1


def test_a_counter_that_fails_at_everything_is_not_asked_for_each_settlement(venue, monkeypatch):
    settled(venue, 60)
    asked: list[int] = []

    def failing(*, reports, now):
        asked.append(len(reports))
        raise RuntimeError("an error of ours")

    monkeypatch.setattr(internal, "take_reports", failing)
    with pytest.raises(CounterUnavailable):
        reporting.report_until_done(clock=timezone.now)
    assert len(asked) < 2 * reporting.MOST_SPOILED + 10
    assert order_states() == {"SETTLED"}


def test_a_settlement_whose_account_is_held_is_told_again_a_second_later(venue, monkeypatch):
    option = make_option()
    held_customer, other_customer = make_customer(), make_customer()
    opened = [place_open(customer, option) for customer in (held_customer, other_customer)]
    closes = [place_close(order, payout="at_fill") for order in opened]
    pull_all()
    steps.convert(venue)
    steps.balance()
    now = timezone.now()
    with held_account(held_customer.pk):
        assert reporting.report_until_done(clock=lambda: now) == 3
    assert AcceptedOrder.objects.get(state="SETTLED").order_id == closes[0].id
    assert reporting.report_until_done(clock=lambda: now) == 0
    assert reporting.report_until_done(clock=lambda: now + reporting.HELD_WAITS) == 1
    assert sync_states() == {"SETTLED"}


def test_an_acknowledgement_that_counter_fails_at_hides_no_order_behind_it(monkeypatch):
    ids = placed(6)
    monkeypatch.setattr(pulling, "PULL_LIMIT", 2)
    mark = outbox.acknowledge

    def failing(*, order_ids, now):
        if ids[1] in order_ids:
            raise RuntimeError("an error of ours")
        return mark(order_ids=order_ids, now=now)

    monkeypatch.setattr(outbox, "acknowledge", failing)
    assert pull_all() == 6
    assert list(SyncOrder.objects.filter(state="PENDING").values_list("id", flat=True)) == [ids[1]]


def test_a_report_that_contradicts_the_one_before_is_refused(venue):
    settled(venue, 1)
    share = Allocation.objects.select_related("order", "conversion").get()
    report = steps.settlement_report(share)
    other: SettlementReport = msgspec.structs.replace(report, fee=report.fee + Decimal("0.00000001"))
    assert counter_client.report([report]).refused == []
    assert counter_client.report([other]).refused == [report.order_id]


def test_without_the_service_key_nothing_is_told(monkeypatch):
    placed()

    def sign(request):
        signatures.sign(
            request, keys=signatures.keys_of("another"), tag=DESK_TAG, body=b"", now=timezone.now()
        )
        return request

    monkeypatch.setattr(counter_client._session(), "auth", sign)
    with pytest.raises(CounterRefused, match=r"401 .*signature_invalid"):
        pull()


@pytest.mark.parametrize("hours", [-1, 1])
def test_a_clock_that_is_wrong_is_found_out_and_stops_nothing(monkeypatch, settings, hours):
    monkeypatch.setattr(counter_client, "_clock", counter_client._Clock())
    counter_client._clock.ahead_by = timedelta(hours=hours)
    ids = placed()
    assert pull() == ids
    assert abs(counter_client._clock.ahead_by) < timedelta(seconds=settings.SIGNATURE_WINDOW_SECONDS)


@pytest.mark.parametrize("hours", [-1, 1])
def test_a_desk_whose_clock_is_wrong_tells_its_condition_by_counters(monkeypatch, hours):
    wrong = timedelta(hours=hours)
    monkeypatch.setattr(counter_client, "_clock", counter_client._Clock())
    monkeypatch.setattr(clock.of("desk"), "now", lambda: timezone.now() + wrong)
    now = timezone.now()
    halted = CoinCondition("BTC", Decimal(1), venue_halted_since=now + wrong - timedelta(minutes=5))
    counter_client.tell_conditions([halted], as_of=now + wrong)
    told = DeskCondition.objects.get()
    assert abs(told.as_of - now) < timedelta(seconds=20)
    assert abs(told.as_of - told.venue_halted_since - timedelta(minutes=5)) < timedelta(seconds=1)


def test_a_counter_that_is_down_is_unavailable_and_loses_nothing(venue, settings):
    settled(venue)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound and not listening: nobody else can answer there
        settings.COUNTER_URL = f"http://127.0.0.1:{taken.getsockname()[1]}"
        for call in (lambda: reporting.report_settled(clock=timezone.now), pull_all):
            with pytest.raises(CounterUnavailable):
                call()
    assert order_states() == {"SETTLED"}


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n", CounterUnavailable),
        (b"HTTP/1.1 429 Slow down\r\nContent-Length: 0\r\n\r\n", CounterUnavailable),
        (b"", CounterUnavailable),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{", CounterUnavailable),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}", CounterRefused),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n<html", CounterRefused),
        (b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1/\r\nContent-Length: 0\r\n\r\n", CounterRefused),
        (b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", CounterRefused),
    ],
)
def test_every_other_answer_is_an_error_of_its_kind(settings, answer, error):
    with socket.create_server(("127.0.0.1", 0)) as server:
        settings.COUNTER_URL = f"http://127.0.0.1:{server.getsockname()[1]}"
        thread = threading.Thread(target=answer_once, args=(server, answer))
        thread.start()
        with pytest.raises(error):
            pull()
        thread.join(timeout=5)


def answer_once(server: socket.socket, answer: bytes) -> None:
    connection, _ = server.accept()
    with connection:
        connection.recv(65536)
        connection.sendall(answer)
