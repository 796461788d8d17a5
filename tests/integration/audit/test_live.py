"""An audit of a system at work never cries wolf, and of a long past it is quick."""

import threading

import pytest
from django.db import connections
from django.utils import timezone

import audit
from acceptance.models import AcceptedOrder
from counter.models import SyncOrder
from tests.support import desk
from tests.support.factories import make_customer, make_option, make_quote, place, place_open, unique
from tests.support.synthetic import write_past
from tests.support.tampering import broken

AUDITS = 8
PAUSE_SECONDS = 0.02  # of each step of the work: without one they would take both cores from the audits


def _until(stop: threading.Event, step, errors: list[BaseException]) -> None:
    try:
        while not stop.wait(PAUSE_SECONDS):
            step()
    except BaseException as error:  # noqa: BLE001 - told by the test
        errors.append(error)
    finally:
        connections.close_all()


def test_audit_of_flowing_orders_is_never_broken(past, venue):
    from counter.orders.requests import CloseRequest, OpenRequest

    options = [make_option(), make_option(underlying="ETH")]
    customers = [make_customer(balance="10000000") for _ in range(5)]

    def trade() -> None:
        for option in options:
            make_quote(option)
        for customer in customers:
            names = [unique("live") for _ in range(6)]
            opens = [
                OpenRequest(customer.pk, name, options[number % 2].symbol, 20)
                for number, name in enumerate(names)
            ]
            place(*opens)
            closes = [
                CloseRequest(customer.pk, f"{name}-close", opened_by=name, payout=payout)
                for name, payout in zip(names, ["instant", "at_fill"] * 2, strict=False)
            ]
            place(*closes)

    stop, errors = threading.Event(), []
    steps = [trade, desk.deliver, lambda: desk.convert(venue), desk.balance, desk.report]
    threads = [threading.Thread(target=_until, args=(stop, step, errors)) for step in steps]
    for thread in threads:
        thread.start()
    try:
        reports = [audit.run(now=timezone.now(), venue=venue) for _ in range(AUDITS)]
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert errors == []
    assert [broken(report) for report in reports] == [{}] * AUDITS
    assert any(report.in_flight for report in reports)

    desk.run_desk(venue)
    assert SyncOrder.objects.exclude(state="SETTLED").count() == 0
    assert AcceptedOrder.objects.count() > 50
    report = audit.run(now=timezone.now(), venue=venue)
    assert (broken(report), report.in_flight, report.unchecked) == ({}, 0, [])


@pytest.mark.django_db(transaction=True, databases=["default", "desk"])
def test_long_past_is_in_order_and_orders_that_follow_it_too(broker_url):
    write_past(orders=20_000, customers=100)
    place_open(make_customer(), make_option())
    report = audit.run(now=timezone.now(), venue=None)
    assert broken(report) == {}
    assert report.result(3).checked == 20_001
    assert report.in_flight == 1
