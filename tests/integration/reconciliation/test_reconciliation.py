"""Each difference between venue, book and clearing is found in its direction, traced, and closed by the right thing."""

from datetime import timedelta
from decimal import Decimal

import pytest
from django.db import IntegrityError, connections, transaction
from django.utils import timezone

import audit
from infra.db.decisions import Person
from settlement.book.chart import CAPITAL, SUSPENSE, VENUE
from settlement.book.legs import Legs
from settlement.conversions import unknown
from settlement.interventions import deciding
from settlement.interventions.operations import state_of
from settlement.interventions.terms import Refused, Terms
from settlement.models import (
    Conversion,
    DeskTransfer,
    Fill,
    Intervention,
    ReconciliationBreak,
    ReconciliationRun,
    StateChange,
)
from settlement.models.history import Subject
from settlement.reconciliation import book, breaks, clearing, running, trades, venue_view, wallets
from settlement.venues.ccxt_venue import CcxtVenue
from tests.support import desk
from tests.support.factories import make_customer, make_option, place_close, place_open
from tests.support.tampering import tampered

ANN, BOB = Person(1, "ann"), Person(2, "bob")


def open_breaks() -> dict[str, ReconciliationBreak]:
    return {row.what: row for row in ReconciliationBreak.objects.filter(state="OPEN")}


def request_write_off(row: ReconciliationBreak, venue, *, kind="write_off", seen=None) -> Intervention:
    return deciding.request(
        operation=deciding.OPERATIONS[Subject.BREAK, kind],
        row_id=row.pk,
        seen=seen or state_of(row),
        terms=Terms(),
        reason="nobody knows whose it is",
        evidence="ticket 4711",
        by=ANN,
        venue=venue,
        now=timezone.now(),
    )


def write_off(row: ReconciliationBreak, venue) -> Intervention:
    """Two people write a break off."""
    asked = request_write_off(row, venue)
    return deciding.approve(intervention_id=asked.pk, by=BOB, note="seen", venue=venue, now=timezone.now())


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
        for (_, account, asset, amount) in _balances()
        if account in ("venue", "inventory")
    }


def _balances():
    from ledger.posting import balances
    from settlement.models import DeskAccount

    return balances(DeskAccount, DeskTransfer)


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


@pytest.mark.parametrize(("kind", "account"), [("write_off", SUSPENSE), ("book_capital", CAPITAL)])
def test_trade_of_nobody_is_found_traced_and_closed_only_by_two_peoples_booking(
    past, run, somebody, venue, kind, account
):
    before = {asset: total for _, code, asset, total in _balances() if code == account}
    order = somebody.create_order("BTC/USDT", "market", "buy", "0.01")
    assert run().found == len(order["trades"])
    row = open_breaks()[trades.NOBODYS]
    assert (row.venue_trade_id, row.asset, row.amount) == (order["trades"][0]["id"], "BTC", Decimal("0.01"))
    assert wallets.NOT_THE_BOOK not in open_breaks()  # the trade explains what the wallets hold
    for minutes in (1, 60):
        assert run(after=timedelta(minutes=minutes)).closed == 0

    asked = request_write_off(row, venue, kind=kind)
    with pytest.raises(Refused, match="another person"):
        deciding.approve(intervention_id=asked.pk, by=ANN, note="", venue=venue, now=timezone.now())
    assert DeskTransfer.objects.filter(break_id=row.pk).count() == 0
    made = deciding.approve(intervention_id=asked.pk, by=BOB, note="", venue=venue, now=timezone.now())

    row.refresh_from_db()
    assert row.state == "OPEN"  # the comparison closes it, not the click
    assert run().closed == 1
    row.refresh_from_db()
    assert row.state == "CLOSED"
    assert f"intervention {made.pk}" in row.closed_by
    assert open_breaks() == {}
    [trade] = order["trades"]
    fee = Decimal(trade["fee"]["cost"])
    moved = {asset: total - before.get(asset, 0) for _, code, asset, total in _balances() if code == account}
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
        request_write_off(open_breaks()[wallets.NOT_THE_BOOK], venue, seen=seen)


def test_what_comes_after_a_write_off_can_be_written_off_as_well(
    past, run, paper_venue, venue_account, venue
):
    for _ in range(2):
        paper_venue.fund(account=venue_account[0], wallet="SPOT", asset="ETH", amount="0.5")
        run()
        write_off(open_breaks()[wallets.NOT_THE_BOOK], venue)
    assert run().open == 0


def test_run_that_looked_before_a_write_off_does_not_offer_it_again(
    past, run, paper_venue, venue_account, venue, monkeypatch
):
    """Two people approve between a run's last look and its noting: what it saw is in the book by then."""
    paper_venue.fund(account=venue_account[0], wallet="SPOT", asset="ETH", amount="0.5")
    run()
    row = open_breaks()[wallets.NOT_THE_BOOK]
    asked = request_write_off(row, venue)

    def keep_late(*args, **options):
        deciding.approve(intervention_id=asked.pk, by=BOB, note="", venue=venue, now=timezone.now())
        return breaks.keep(*args, **options)

    with monkeypatch.context() as patched:
        patched.setattr(running, "keep", keep_late)
        run()
    row.refresh_from_db()
    with pytest.raises(Refused, match="booked already"):
        request_write_off(row, venue)
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
        request_write_off(row, venue)
    paper_venue.clear_faults()
    unknown.ask(made, venue, timezone.now())
    desk.balance()
    assert (run().open, Conversion.objects.get(pk=made.pk).state) == (0, "BOOKED")
    row.refresh_from_db()
    assert [part.split()[2] for part in row.closed_by.split("; ")] == ["fill", "fee"]


def test_trade_that_was_booked_after_it_was_found_is_not_written_off(past, run, somebody, venue):
    order = somebody.create_order("BTC/USDT", "market", "buy", "0.01")
    run()
    asked = request_write_off(open_breaks()[trades.NOBODYS], venue)
    booked = Fill.objects.first()
    booked.pk, booked.venue_trade_id = None, order["trades"][0]["id"]
    booked.save()
    with pytest.raises(Refused, match="booked since"):
        deciding.approve(intervention_id=asked.pk, by=BOB, note="", venue=venue, now=timezone.now())
    assert not DeskTransfer.objects.filter(break_id__isnull=False).exists()


def test_wallet_transfer_of_somebody_else_is_found_by_its_id_and_can_be_written_off(
    past, run, somebody, venue
):
    made = somebody.transfer("BTC", "1", "spot", "funding")
    run()
    assert set(open_breaks()) == {wallets.NEVER_ASKED}
    row = open_breaks()[wallets.NEVER_ASKED]
    assert (row.venue_transfer_id, row.amount) == (str(made["id"]), Decimal(-1))
    write_off(row, venue)
    assert run().closed == 1
    assert run().open == 0
    legs = DeskTransfer.objects.filter(break_id=row.pk).select_related("debit_account", "credit_account")
    moved = sum(leg.amount * (1 if leg.debit_account.code == SUSPENSE else -1) for leg in legs)
    assert moved == 0  # it only changed wallets


def test_clearing_that_differs_is_traced_to_its_order(past, run):
    change = "UPDATE counter_transfer SET amount = amount + 1 WHERE order_id = %s AND kind = 'open'"
    with tampered("default", "counter_transfer", change, [past.opened.id]):
        made = run()
        row = open_breaks()[clearing.DIFFERS]
        assert (row.order_id, row.amount, row.asset) == (past.opened.id, Decimal(1), "USDT")
        assert made.orders_until == past.opened.id - 1
        assert run().closed == 0
    made = run()
    assert (made.closed, made.orders_until) == (1, past.closed_at_fill.id + 2)


def test_order_that_the_desk_lost_is_a_break_until_it_is_taken_in(past, run):
    order = place_open(make_customer(), make_option())
    run()
    row = open_breaks()[clearing.NOT_HERE]
    assert (row.order_id, row.amount) == (order.id, order.fair)
    desk.deliver()
    assert run().closed == 1
    row.refresh_from_db()
    assert "taken in by queue" in row.closed_by


def test_clearing_that_counter_lost_or_has_for_no_order_is_found(past, run):
    with tampered(
        "default",
        "counter_transfer",
        "DELETE FROM counter_transfer WHERE order_id = %s AND kind = 'open'",
        [past.opened.id],
    ):
        run()
        assert open_breaks()[clearing.NO_CLEARING].order_id == past.opened.id
    change = """INSERT INTO counter_transfer (debit_account_id, credit_account_id, asset, amount, kind, created_at)
                VALUES (3, 1, 'USDT', 5, 'gift', now())"""
    with tampered("default", "counter_transfer", change):
        run()
        assert open_breaks()[clearing.OF_NO_ORDER].amount == 5
    run()
    assert open_breaks() == {}


def test_mirror_that_is_not_what_the_orders_came_to_is_found(past, run):
    conversion_id = past.conversion_ids[0]
    change = """UPDATE settlement_desktransfer SET amount = amount + 1 WHERE id = (
                SELECT t.id FROM settlement_desktransfer t JOIN settlement_deskaccount a ON a.id = t.debit_account_id
                WHERE t.conversion_id = %s AND a.code = 'counter')"""
    with tampered("desk", "settlement_desktransfer", change, [conversion_id]):
        run(after=timedelta(minutes=10))
        row = open_breaks()[book.MIRROR]
        assert (row.conversion_id, row.amount) == (conversion_id, Decimal(-1))
        assert ReconciliationRun.objects.latest("id").legs_until == 0
    assert run().closed == 1


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
