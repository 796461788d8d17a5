"""Invariant 5: a trade too many, a fill too many, a wallet that holds more or less: each is found in its direction."""

from decimal import Decimal

import pytest
from django.utils import timezone

import audit
from settlement.funds import treasury
from settlement.models import Conversion, Fill, FundsTransfer
from settlement.venues.ccxt_venue import CcxtVenue
from tests.support.tampering import broken, tampered


@pytest.fixture(autouse=True)
def _exact_clocks(settings):
    """Nothing is excused as too recent."""
    settings.AUDIT_CLOCK_TOLERANCE_SECONDS = 0


def trades_of(order) -> set[str]:
    """How findings name the trades of a ccxt order."""
    return {f"venue trade {trade['id']} BTC/USDT" for trade in order["trades"]}


def test_trade_of_nobody_is_found(past, check, somebody):
    order = somebody.create_order("BTC/USDT", "market", "buy", "0.01")
    report = check()
    assert broken(report) == {5: {("trade belongs to no conversion", where) for where in trades_of(order)}}
    # It explains what the wallets hold, so they are no finding of their own.
    assert report.result(5).in_flight.total == 0


def test_second_order_of_a_conversion_is_found(past, check, somebody):
    booked = Conversion.objects.get(pk=past.conversion_ids[0])
    order = somebody.create_order(
        "BTC/USDT", "market", "buy", "0.01", None, {"newClientOrderId": booked.client_order_id}
    )
    assert broken(check()) == {5: {("trade was not booked", where) for where in trades_of(order)}}


def test_fill_that_is_not_the_venues_trade_is_found(past, check):
    fill = Fill.objects.filter(conversion_id=past.conversion_ids[0]).first()
    where = f"venue trade {fill.venue_trade_id} {fill.symbol}"
    for column in ("price", "coin", "usdt", "fee"):
        change = f"UPDATE settlement_fill SET {column} = {column} + 0.00000001 WHERE id = %s"
        with tampered("desk", "settlement_fill", change, [fill.pk]):
            found = broken(check())[5]
        assert found == {("trade differs from its fill", where)}, column


def test_fill_that_the_venue_never_traded_is_found(past, check):
    change = """INSERT INTO settlement_fill (conversion_id, symbol, venue_trade_id, price, coin, usdt, fee, fee_asset,
                                             traded_at)
                VALUES (%s, 'BTC/USDT', '999999999', 1, 1, 1, 0, 'USDT', now())"""
    with tampered("desk", "settlement_fill", change, [past.conversion_ids[0]]):
        found = broken(check())[5]
    assert found == {("fill is not among the venue's trades", "venue trade 999999999 BTC/USDT")}


@pytest.mark.parametrize(("wallet", "name"), [("SPOT", "trading"), ("FUNDING", "reserve")])
def test_wallet_that_holds_more_than_the_book_is_found(past, check, paper_venue, venue_account, wallet, name):
    paper_venue.fund(account=venue_account[0], wallet=wallet, asset="ETH", amount="0.00000001")
    assert broken(check()) == {5: {("wallet is not what the book says", f"{name} wallet ETH")}}


def test_leg_of_a_wallet_that_was_lost_is_found(past, check):
    change = "DELETE FROM settlement_desktransfer WHERE kind = 'capital' AND asset = 'BNB'"
    with tampered("desk", "settlement_desktransfer", change):
        assert broken(check()) == {5: {("wallet is not what the book says", "trading wallet BNB")}}


def test_wallet_transfer_of_somebody_else_shows_in_both_wallets(past, check, somebody):
    somebody.transfer("BTC", "1", "spot", "funding")
    what = "wallet is not what the book says"
    assert broken(check()) == {5: {(what, "trading wallet BTC"), (what, "reserve wallet BTC")}}


def test_wallet_transfer_of_somebody_else_is_not_taken_for_one_of_the_desks(
    past, check, somebody, venue, paper_venue
):
    paper_venue.add_fault("reply_lost", method="POST", path="/sapi/v1/asset/transfer", count=1)
    direction = FundsTransfer.Direction.TO_RESERVE
    treasury.start(asset="BTC", amount=Decimal(2), direction=direction, venue=venue, now=timezone.now())
    made = somebody.transfer("BTC", "1", "spot", "funding")
    report = check()
    where = f"wallet transfer {made['id']}"
    assert broken(report) == {5: {("wallet transfer that the desk never asked for", where)}}
    assert [finding.what for finding in report.result(5).in_flight.listed] == [
        "wallet transfer is not booked yet"
    ]


def test_confirmed_transfer_without_its_leg_is_found(past, check, venue):
    direction = FundsTransfer.Direction.TO_TRADING
    made = treasury.start(
        asset="BTC", amount=Decimal(2), direction=direction, venue=venue, now=timezone.now()
    )
    assert broken(check()) == {}
    change = "DELETE FROM settlement_desktransfer WHERE funds_transfer_id = %s"
    with tampered("desk", "settlement_desktransfer", change, [made.pk]):
        found = broken(check())[5]
    assert ("funds transfer is not booked as it was made", f"funds transfer {made.pk}") in found


def test_order_sent_again_without_a_certain_no_is_found(past, check):
    first = past.conversion_ids[0]
    change = """INSERT INTO settlement_attempt (subject, subject_id, call, request, sent_at, outcome, code, answer)
                VALUES ('conversion', %s, 'submit', '{}', now(), '', '', '')"""
    with tampered("desk", "settlement_attempt", change, [first]):
        assert broken(check()) == {5: {("order may have been sent twice", f"conversion {first}")}}


def test_venue_that_does_not_answer_leaves_the_invariant_unchecked(past, paper_venue):
    away = CcxtVenue(
        client="binance", url="http://127.0.0.1:1", api_key="k", api_secret="s", timeout_seconds=1.0
    )
    report = audit.run(now=timezone.now(), venue=away)
    assert broken(report) == {}
    assert report.unchecked == [5]
    assert report.result(5).state == "unchecked"
    assert "did not answer" in report.result(5).unchecked
