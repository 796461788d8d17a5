"""Wallets that hold more or less than the book says: found, booked or written off, and never twice."""

from datetime import timedelta
from decimal import Decimal

import pytest
from django.db import transaction
from django.utils import timezone

from settlement.book.chart import CAPITAL, SUSPENSE, VENUE
from settlement.book.legs import Legs
from settlement.conversions import unknown
from settlement.interventions.operations import state_of
from settlement.interventions.terms import Refused
from settlement.models import (
    Conversion,
    DeskTransfer,
    ReconciliationBreak,
)
from settlement.reconciliation import breaks, running, trades, venue_view, wallets
from tests.support import desk
from tests.support.breaks import open_breaks
from tests.support.factories import make_customer, make_option, place_open
from tests.support.people import approve, ask_for, decide


@pytest.mark.parametrize(("wallet", "account"), [("SPOT", "venue"), ("FUNDING", "inventory")])
def test_surplus_in_a_wallet_is_a_break_until_it_is_booked(
    past, run, paper_venue, venue_account, wallet, account
):
    run()
    paper_venue.fund(account=venue_account[0], wallet=wallet, asset="ETH", amount="0.5")
    run()
    row = open_breaks()[wallets.NOT_THE_BOOK]
    assert (row.account, row.asset, row.amount) == (account, "ETH", Decimal("0.5"))
    run(after=timedelta(hours=1))
    with transaction.atomic(using="desk"):
        legs = Legs(now=timezone.now())
        legs.add("capital", "ETH", debit=account, credit=CAPITAL, amount=Decimal("0.5"))
        legs.post()
    assert run().closed == 1
    row.refresh_from_db()
    assert row.closed_by.startswith(f"leg {DeskTransfer.objects.latest('id').pk}: capital")


def test_booking_that_is_not_the_difference_closes_nothing(past, run, paper_venue, venue_account):
    paper_venue.fund(account=venue_account[0], wallet="SPOT", asset="ETH", amount="0.5")
    run()
    with transaction.atomic(using="desk"):
        legs = Legs(now=timezone.now())
        legs.add("capital", "ETH", debit=VENUE, credit=CAPITAL, amount=Decimal("0.4"))
        legs.post()
    assert run().closed == 0
    row = open_breaks()[wallets.NOT_THE_BOOK]
    assert (row.amount, row.version) == (Decimal("0.1"), 1)


def test_request_is_void_once_the_figures_have_moved(past, run, paper_venue, venue_account, venue):
    paper_venue.fund(account=venue_account[0], wallet="SPOT", asset="ETH", amount="0.5")
    run()
    seen = state_of(open_breaks()[wallets.NOT_THE_BOOK])
    paper_venue.fund(account=venue_account[0], wallet="SPOT", asset="ETH", amount="0.5")
    run()
    with pytest.raises(Refused, match="moved"):
        ask_for(open_breaks()[wallets.NOT_THE_BOOK], "write_off", venue, seen=seen)


def test_what_comes_after_a_write_off_can_be_written_off_as_well(
    past, run, paper_venue, venue_account, venue
):
    for _ in range(2):
        paper_venue.fund(account=venue_account[0], wallet="SPOT", asset="ETH", amount="0.5")
        run()
        decide(open_breaks()[wallets.NOT_THE_BOOK], "write_off", venue)
    assert run().open == 0


def test_run_that_looked_before_a_write_off_does_not_offer_it_again(
    past, run, paper_venue, venue_account, venue, monkeypatch
):
    """Two people approve between a run's last look and its noting: what it saw is in the book by then."""
    paper_venue.fund(account=venue_account[0], wallet="SPOT", asset="ETH", amount="0.5")
    run()
    row = open_breaks()[wallets.NOT_THE_BOOK]
    asked = ask_for(row, "write_off", venue)

    def keep_late(*args, **options):
        approve(asked, venue)
        return breaks.keep(*args, **options)

    with monkeypatch.context() as patched:
        patched.setattr(running, "keep", keep_late)
        run()
    row.refresh_from_db()
    with pytest.raises(Refused, match="booked already"):
        ask_for(row, "write_off", venue)
    assert (run().closed, run().open) == (1, 0)


def test_what_only_the_last_look_shows_closes_nothing(
    past, run, somebody, paper_venue, venue_account, monkeypatch
):
    """A wallet that moved at the first look and differs at the second is no new break, and no balanced one either."""
    paper_venue.fund(account=venue_account[0], wallet="SPOT", asset="ETH", amount="0.5")
    somebody.create_order("BTC/USDT", "market", "buy", "0.01")  # a break for whose sake it looks twice
    run()
    assert set(open_breaks()) == {wallets.NOT_THE_BOOK, trades.NOBODYS}
    looked = []

    def busy_at_first(*args, **options):
        view = venue_view.look(*args, **options)
        view.quiet = bool(looked)
        looked.append(view)
        return view

    monkeypatch.setattr(running, "look", busy_at_first)
    assert run().closed == 0
    assert len(looked) == 2
    assert set(open_breaks()) == {wallets.NOT_THE_BOOK, trades.NOBODYS}


def test_wallet_that_an_open_conversion_may_explain_is_not_booked_as_a_strangers(
    past, run, venue, paper_venue
):
    """The venue hides an order and its trades and shows what they did to the wallet: once it is booked, all agrees."""
    paper_venue.add_fault(
        "stale_reads", path="/api/v3/(order|myTrades|allOrders)", method="GET", lag_ms=3_600_000
    )
    place_open(make_customer(), make_option(), contracts=30)
    desk.deliver()
    paper_venue.add_fault("reply_lost", method="POST", path="/api/v3/order$", count=1)
    desk.convert(venue)
    made = Conversion.objects.latest("id")
    run()
    row = ReconciliationBreak.objects.get(what=wallets.NOT_THE_BOOK, asset="BTC")
    with pytest.raises(Refused, match=f"conversion {made.pk} is UNKNOWN"):
        ask_for(row, "write_off", venue)
    paper_venue.clear_faults()
    unknown.ask(made, venue, timezone.now())
    desk.balance()
    assert (run().open, Conversion.objects.get(pk=made.pk).state) == (0, "BOOKED")
    row.refresh_from_db()
    assert [part.split()[2] for part in row.closed_by.split("; ")] == ["fill", "fee"]


def test_wallet_transfer_of_somebody_else_is_found_by_its_id_and_can_be_written_off(
    past, run, somebody, venue
):
    made = somebody.transfer("BTC", "1", "spot", "funding")
    run()
    assert set(open_breaks()) == {wallets.NEVER_ASKED}
    row = open_breaks()[wallets.NEVER_ASKED]
    assert (row.venue_transfer_id, row.amount) == (str(made["id"]), Decimal(-1))
    decide(row, "write_off", venue)
    assert run().closed == 1
    assert run().open == 0
    legs = DeskTransfer.objects.filter(break_id=row.pk).select_related("debit_account", "credit_account")
    moved = sum(leg.amount * (1 if leg.debit_account.code == SUSPENSE else -1) for leg in legs)
    assert moved == 0  # it only changed wallets
