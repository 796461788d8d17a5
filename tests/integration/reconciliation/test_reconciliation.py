"""Runs of reconciliation: what they read, that nothing under way is a break, and how a break is kept."""

from datetime import timedelta
from decimal import Decimal

import pytest
from django.db import IntegrityError, connections
from django.utils import timezone

from settlement.models import (
    Conversion,
    DeskTransfer,
    ReconciliationBreak,
    ReconciliationRun,
)
from settlement.reconciliation import breaks, wallets
from settlement.venues.ccxt_venue import CcxtVenue
from tests.support import desk
from tests.support.breaks import balances_of_the_desk, open_breaks
from tests.support.factories import make_customer, make_option, place_close, place_open


def test_books_in_order_show_no_break_and_move_every_watermark(past, run):
    first = run()
    assert (first.found, first.open, first.unchecked, first.in_flight) == (0, 0, "", 0)
    assert first.orders_until == past.closed_at_fill.id + 2  # the two closes after it
    later = run(after=timedelta(minutes=10))
    assert later.trades_until > first.trades_until
    assert later.legs_until == DeskTransfer.objects.latest("id").pk
    held = {
        (account, asset): Decimal(amount)
        for account, assets in later.balances.items()
        for asset, amount in assets.items()
    }
    assert held == {
        (account, asset): amount
        for (_, account, asset, amount) in balances_of_the_desk()
        if account in ("venue", "inventory")
    }


def test_later_run_reads_neither_trades_nor_orders_nor_legs_from_before_its_watermark(
    past, run, settings, venue, monkeypatch
):
    settings.RECONCILE_OVERLAP_SECONDS = 0
    run()
    run(after=timedelta(minutes=10))
    asked = []
    monkeypatch.setattr(venue, "trades", lambda **wanted: asked.append(wanted["since"]) or [], raising=False)
    before = ReconciliationRun.objects.latest("id")
    compared = run(after=timedelta(minutes=11)).checked
    assert min(asked) >= before.trades_until
    assert compared < len(asked) + 20  # wallets, and no trade or order again
    assert ReconciliationRun.objects.latest("id").open == 0


def test_orders_in_flight_are_no_breaks_and_hold_the_watermark(past, run, venue, paper_venue):
    opened = place_open(make_customer(), make_option(), contracts=30)
    desk.deliver()
    made = run()
    assert (made.found, made.orders_until) == (0, opened.id - 1)
    paper_venue.add_fault("reply_lost", method="POST", path="/api/v3/order$", count=1)
    desk.convert(venue)
    made = run()
    assert (made.found, made.in_flight > 0) == (0, True)
    stuck = Conversion.objects.latest("id")
    assert stuck.state == "UNKNOWN"
    assert made.trades_until <= stuck.planned_at


def test_payouts_at_fill_are_no_break_at_any_step(past, run, venue):
    opened = place_open(make_customer(), make_option(), contracts=30)
    desk.run_desk(venue)
    place_close(opened, payout="at_fill")
    for step in (desk.deliver, lambda: desk.convert(venue), desk.balance, desk.report):
        assert run().found == 0
        step()
    assert run().found == 0


def test_venue_and_counter_that_are_away_are_said_so_and_close_nothing(
    past, run, paper_venue, venue_account, settings
):
    paper_venue.fund(account=venue_account[0], wallet="SPOT", asset="ETH", amount="0.5")
    before = run()
    settings.COUNTER_URL = "http://127.0.0.1:1"
    away = CcxtVenue(
        client="binance", url="http://127.0.0.1:1", api_key="k", api_secret="s", timeout_seconds=1.0
    )
    made = run(at=away, after=timedelta(minutes=20))
    assert "the venue did not answer" in made.unchecked
    assert "counter did not answer" in made.unchecked
    assert (made.closed, made.open) == (0, 1)
    assert (made.trades_until, made.orders_until) == (before.trades_until, before.orders_until)


def test_break_ages_from_when_it_happened_and_has_an_owner(past, run, paper_venue, venue_account):
    paper_venue.fund(account=venue_account[0], wallet="SPOT", asset="ETH", amount="0.5")
    run()
    row = open_breaks()[wallets.NOT_THE_BOOK]
    found_at = row.found_at
    assert breaks.own([row], owner_id=7, owner="ann", now=timezone.now()) == 1
    run(after=timedelta(hours=2))
    row.refresh_from_db()
    assert (row.owner, row.found_at, row.since) == ("ann", found_at, found_at)
    assert row.seen_at - found_at >= timedelta(hours=2)


def test_two_runs_find_one_break(past, run, paper_venue, venue_account):
    paper_venue.fund(account=venue_account[0], wallet="SPOT", asset="ETH", amount="0.5")
    assert [run().found, run().found] == [1, 0]
    row = ReconciliationBreak.objects.get()
    row.pk = None
    with pytest.raises(IntegrityError):
        row.save(force_insert=True)


def test_database_closes_nothing_without_saying_by_what(past, run, paper_venue, venue_account):
    paper_venue.fund(account=venue_account[0], wallet="SPOT", asset="ETH", amount="0.5")
    run()
    with pytest.raises(IntegrityError), connections["desk"].cursor() as cursor:
        cursor.execute("UPDATE settlement_reconciliationbreak SET state = 'CLOSED', closed_at = now()")
