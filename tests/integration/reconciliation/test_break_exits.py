"""Each kind of break has something that ends it: produced for real, ended by two people or by its cause going away."""

from datetime import timedelta
from decimal import Decimal

import pytest
from django.utils import timezone

import audit
from settlement.book.chart import COUNTER, SUSPENSE, USDT
from settlement.book.legs import Legs
from settlement.interventions.terms import Refused
from settlement.models import DeskTransfer, Fill, ReconciliationBreak, ReconciliationRun
from settlement.reconciliation import book, clearing, trades, wallets
from tests.support.breaks import open_breaks
from tests.support.people import approve, ask_for, decide
from tests.support.tampering import tampered


def suspense_of(row: ReconciliationBreak) -> Decimal:
    legs = DeskTransfer.objects.filter(break_id=row.pk).select_related("debit_account", "credit_account")
    return sum((leg.amount * (1 if leg.debit_account.code == SUSPENSE else -1) for leg in legs), Decimal(0))


def broken(venue) -> set[str]:
    report = audit.run(now=timezone.now(), venue=venue)
    return {finding.what for result in report.results for finding in result.broken.listed}


COUNTER_HAS_MORE = "UPDATE counter_transfer SET amount = amount + 1 WHERE order_id = %s AND kind = 'open'"
COUNTER_LOST = "DELETE FROM counter_transfer WHERE order_id = %s AND kind = 'open'"
GIFT = """INSERT INTO counter_transfer (debit_account_id, credit_account_id, asset, amount, kind, created_at)
          VALUES (3, 1, 'USDT', 5, 'gift', now())"""


@pytest.mark.parametrize(
    ("what", "change", "is_of_order"),
    [
        (clearing.DIFFERS, COUNTER_HAS_MORE, True),
        (clearing.NO_CLEARING, COUNTER_LOST, True),
        (clearing.OF_NO_ORDER, GIFT, False),
    ],
)
def test_clearing_that_differs_is_ended_through_suspense_once_and_taken_back_when_it_is_mended(
    past, run, venue, what, change, is_of_order
):
    with tampered("default", "counter_transfer", change, [past.opened.id] if is_of_order else []):
        run()
        row = open_breaks()[what]
        with pytest.raises(Refused, match="nothing was brought in"):
            ask_for(row, "book_capital", venue)
        decide(row, "write_off", venue)
        with pytest.raises(Refused, match="now differs by 0"):
            ask_for(row, "write_off", venue)
        assert (run().closed, run().open) == (1, 0)
        assert suspense_of(row) == -row.amount
        assert "clearing is not its mirror" not in broken(venue)
        row.refresh_from_db()
        assert "asked for by ann, approved by bob" in row.closed_by
        for minutes in (1, 10):
            assert run(after=timedelta(minutes=minutes)).open == 0
    # Counter was mended after all: the same amount the other way is a break anew, not forgotten.
    ReconciliationRun.objects.all().delete()  # as the audit, which reads everything again
    run()
    [again] = open_breaks().values()
    assert again.amount == -row.amount
    decide(again, "write_off", venue)
    assert (run().closed, run().open) == (1, 0)
    assert suspense_of(row) + suspense_of(again) == 0
    assert broken(venue) == set()


def test_clearing_that_moves_between_request_and_approval_is_not_booked(past, run, venue):
    with tampered("default", "counter_transfer", COUNTER_HAS_MORE, [past.opened.id]):
        run()
        asked = ask_for(open_breaks()[clearing.DIFFERS], "write_off", venue)
    with pytest.raises(Refused, match="counter now differs by 0"):
        approve(asked, venue)
    assert not DeskTransfer.objects.filter(break_id__isnull=False).exists()
    assert (run().closed, run().open) == (1, 0)  # the cause is gone: the run ends it


def test_mirror_that_is_not_the_orders_dues_is_corrected_through_suspense_for_good(past, run, venue):
    change = """UPDATE settlement_desktransfer SET amount = amount + 1 WHERE id = (
                SELECT t.id FROM settlement_desktransfer t JOIN settlement_deskaccount a ON a.id = t.debit_account_id
                WHERE t.conversion_id = %s AND a.code = 'counter')"""
    with tampered("desk", "settlement_desktransfer", change, [past.conversion_ids[0]]):
        run(after=timedelta(minutes=10))
        row = open_breaks()[book.MIRROR]
        decide(row, "write_off", venue)
        made = run(after=timedelta(minutes=10))
        assert (made.closed, made.open) == (1, 0)
        assert suspense_of(row) == 1
        assert "clearing is not its mirror" not in broken(venue)
        for minutes in (11, 20, 30):  # whichever of the legs are behind the watermark
            assert run(after=timedelta(minutes=minutes)).open == 0


def test_stray_leg_of_the_mirror_is_corrected_by_itself(past, run, venue):
    for amount in (Decimal(2), Decimal(3)):
        legs = Legs(now=timezone.now())
        legs.add("slip", USDT, debit=COUNTER, credit=SUSPENSE, amount=amount)
        legs.post()
    run()
    rows = list(ReconciliationBreak.objects.filter(state="OPEN", what=book.MIRROR).order_by("id"))
    assert [row.amount for row in rows] == [Decimal(-2), Decimal(-3)]
    for row in rows:
        decide(row, "write_off", venue)
    assert (run().closed, run().open) == (2, 0)
    assert broken(venue) == set()


BOGUS = """INSERT INTO settlement_fill (conversion_id, symbol, venue_trade_id, price, coin, usdt, fee, fee_asset,
                                        traded_at)
           VALUES (%s, 'BTC/USDT', '999999999', 1, 1, 1, 0, 'USDT', now())"""


def test_fill_that_the_venue_has_not_is_accepted_by_two_people_and_books_nothing(past, run, venue):
    with tampered("desk", "settlement_fill", BOGUS, [past.conversion_ids[-1]]):
        run()
        row = open_breaks()[trades.NOT_AT_VENUE]
        with pytest.raises(Refused, match="no booking"):
            ask_for(row, "write_off", venue)
        decide(row, "accept", venue)
        assert (run().closed, run().open) == (1, 0)
        assert not DeskTransfer.objects.filter(break_id=row.pk).exists()
        assert "fill is not among the venue's trades" not in broken(venue)
        row.refresh_from_db()
        assert row.closed_by.startswith("accepted as it is by intervention")
    assert run().open == 0


def test_trade_that_differs_is_accepted_with_these_figures_only(past, run, venue):
    fill = Fill.objects.latest("id")
    change = "UPDATE settlement_fill SET fee = fee + 0.00000001 WHERE id = %s"
    with tampered("desk", "settlement_fill", change, [fill.pk]):
        run()
        row = open_breaks()[trades.DIFFERS]
        decide(row, "accept", venue)
        with pytest.raises(Refused, match="accepted already"):
            ask_for(row, "accept", venue)
        assert (run().closed, run().open) == (1, 0)
    assert run().open == 0
    change = "UPDATE settlement_fill SET fee = fee + 0.00000002 WHERE id = %s"
    with tampered("desk", "settlement_fill", change, [fill.pk]):
        run()
        assert open_breaks()[trades.DIFFERS].pk != row.pk


def test_figures_that_change_after_the_request_void_it(past, run, venue):
    fill = Fill.objects.latest("id")
    change = "UPDATE settlement_fill SET fee = fee + {} WHERE id = %s"
    with tampered("desk", "settlement_fill", change.format("0.00000001"), [fill.pk]):
        run()
        asked = ask_for(open_breaks()[trades.DIFFERS], "accept", venue)
    with tampered("desk", "settlement_fill", change.format("0.00000002"), [fill.pk]):
        run()
        with pytest.raises(Refused, match="the request is void"):
            approve(asked, venue)
        assert open_breaks()[trades.DIFFERS].accepted_at is None


def test_trade_that_the_venue_shows_after_all_is_not_accepted_as_missing(past, run, venue):
    fill = Fill.objects.latest("id")
    run()
    row = ReconciliationBreak.objects.create(
        what=trades.NOT_AT_VENUE,
        where=f"venue trade {fill.venue_trade_id} {fill.symbol}",
        detail="then",
        conversion_id=fill.conversion_id,
        symbol=fill.symbol,
        venue_trade_id=fill.venue_trade_id,
        since=fill.traded_at,
        found_at=timezone.now(),
        seen_at=timezone.now(),
    )
    with pytest.raises(Refused, match="shows the trade now"):
        ask_for(row, "accept", venue)
    assert run().closed == 1


def test_wallet_of_a_fill_that_was_accepted_keeps_a_break_of_its_own(past, run, venue):
    """A booking that no trade stands behind: the wallets say what it was, and only they are booked."""
    legs = Legs(now=timezone.now(), conversion_id=None)
    legs.add("fill", "BTC", debit="venue", credit=SUSPENSE, amount=Decimal(1))
    legs.post()
    with tampered("desk", "settlement_fill", BOGUS, [past.conversion_ids[-1]]):
        run()
        assert set(open_breaks()) == {trades.NOT_AT_VENUE, wallets.NOT_THE_BOOK}
        decide(open_breaks()[trades.NOT_AT_VENUE], "accept", venue)
        decide(open_breaks()[wallets.NOT_THE_BOOK], "write_off", venue)
        assert (run().closed, run().open) == (2, 0)
