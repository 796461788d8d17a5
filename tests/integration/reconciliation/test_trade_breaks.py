"""Trades at the venue and fills in the book that are not each other's: found, traced, closed by the right thing."""

from datetime import timedelta
from decimal import Decimal

import pytest
from django.utils import timezone

import audit
from settlement.book.chart import CAPITAL, SUSPENSE
from settlement.interventions.terms import Refused
from settlement.models import (
    Conversion,
    DeskTransfer,
    Fill,
    ReconciliationBreak,
    StateChange,
)
from settlement.models.history import Subject
from settlement.reconciliation import trades, wallets
from tests.support import desk
from tests.support.breaks import balances_of_the_desk, open_breaks
from tests.support.factories import make_customer, make_option, place_open
from tests.support.people import ANN, approve, ask_for
from tests.support.tampering import tampered


@pytest.mark.parametrize(("kind", "account"), [("write_off", SUSPENSE), ("book_capital", CAPITAL)])
def test_trade_of_nobody_is_found_traced_and_closed_only_by_two_peoples_booking(
    past, run, somebody, venue, kind, account
):
    before = {asset: total for _, code, asset, total in balances_of_the_desk() if code == account}
    order = somebody.create_order("BTC/USDT", "market", "buy", "0.01")
    assert run().found == len(order["trades"])
    row = open_breaks()[trades.NOBODYS]
    assert (row.venue_trade_id, row.asset, row.amount) == (order["trades"][0]["id"], "BTC", Decimal("0.01"))
    assert wallets.NOT_THE_BOOK not in open_breaks()  # the trade explains what the wallets hold
    for minutes in (1, 60):
        assert run(after=timedelta(minutes=minutes)).closed == 0

    asked = ask_for(row, kind, venue)
    with pytest.raises(Refused, match="another person"):
        approve(asked, venue, by=ANN)
    assert DeskTransfer.objects.filter(break_id=row.pk).count() == 0
    made = approve(asked, venue)

    row.refresh_from_db()
    assert row.state == "OPEN"  # the comparison closes it, not the click
    assert run().closed == 1
    row.refresh_from_db()
    assert row.state == "CLOSED"
    assert f"intervention {made.pk}" in row.closed_by
    assert open_breaks() == {}
    [trade] = order["trades"]
    fee = Decimal(trade["fee"]["cost"])
    moved = {
        asset: total - before.get(asset, 0)
        for _, code, asset, total in balances_of_the_desk()
        if code == account
    }
    sign = 1 if account == CAPITAL else -1  # what the desk owes itself, and what nobody has explained
    assert trade["fee"]["currency"] == "BTC"
    assert moved["BTC"] == sign * (Decimal("0.01") - fee)
    assert moved["USDT"] == -sign * Decimal(trade["cost"])
    assert audit.run(now=timezone.now(), venue=venue).broken == 0
    changes = StateChange.objects.filter(subject=Subject.BREAK, subject_id=row.pk).order_by("id")
    assert [change.to_state for change in changes] == ["OPEN", "CLOSED"]


def test_second_order_under_a_conversions_id_is_traced_to_it(past, run, somebody):
    booked = Conversion.objects.get(pk=past.conversion_ids[0])
    somebody.create_order(
        "BTC/USDT", "market", "sell", "0.01", None, {"newClientOrderId": booked.client_order_id}
    )
    run()
    row = open_breaks()[trades.NOT_BOOKED]
    assert (row.conversion_id, row.amount) == (booked.pk, Decimal("-0.01"))


def test_fill_that_the_venue_has_not_is_found_and_closed_when_the_book_has_it_no_more(past, run):
    change = """INSERT INTO settlement_fill (conversion_id, symbol, venue_trade_id, price, coin, usdt, fee, fee_asset,
                                             traded_at)
                VALUES (%s, 'BTC/USDT', '999999999', 1, 1, 1, 0, 'USDT', now())"""
    with tampered("desk", "settlement_fill", change, [past.conversion_ids[-1]]):
        run()
        row = open_breaks()[trades.NOT_AT_VENUE]
        assert (row.conversion_id, row.venue_trade_id) == (past.conversion_ids[-1], "999999999")
        assert run().closed == 0
        assert row.effect == []
    assert run().closed == 1
    row.refresh_from_db()
    assert row.closed_by == "the fill is no longer in the book"


def test_trade_that_differs_from_its_fill_is_found(past, run):
    fill = Fill.objects.latest("id")
    change = "UPDATE settlement_fill SET fee = fee + 0.00000001 WHERE id = %s"
    with tampered("desk", "settlement_fill", change, [fill.pk]):
        run()
        assert open_breaks()[trades.DIFFERS].venue_trade_id == fill.venue_trade_id
    assert run().closed == 1
    assert ReconciliationBreak.objects.get().closed_by.startswith(f"fill {fill.pk} of conversion")


def test_trade_whose_order_nobody_looked_up_may_be_an_open_conversions(
    past, run, venue, paper_venue, monkeypatch
):
    monkeypatch.setattr(trades, "LOOKUPS", 0)
    place_open(make_customer(), make_option(), contracts=30)
    desk.deliver()
    paper_venue.add_fault("reply_lost", method="POST", path="/api/v3/order$", count=1)
    desk.convert(venue)
    assert Conversion.objects.latest("id").state == "UNKNOWN"
    found = run()
    assert (found.found, found.in_flight > 0) == (0, True)


def test_trade_that_was_booked_after_it_was_found_is_not_written_off(past, run, somebody, venue):
    order = somebody.create_order("BTC/USDT", "market", "buy", "0.01")
    run()
    asked = ask_for(open_breaks()[trades.NOBODYS], "write_off", venue)
    booked = Fill.objects.first()
    booked.pk, booked.venue_trade_id = None, order["trades"][0]["id"]
    booked.save()
    with pytest.raises(Refused, match="booked since"):
        approve(asked, venue)
    assert not DeskTransfer.objects.filter(break_id__isnull=False).exists()
