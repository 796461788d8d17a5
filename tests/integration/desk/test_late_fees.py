"""A fee in an asset without a price: the trade is stored and booked at once, and its fee is valued when it can be."""

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Permission
from django.db import IntegrityError
from django.test import Client
from django.urls import reverse
from django.utils import timezone

import audit
from acceptance.models import AcceptedOrder
from infra.exchange.lean_ccxt import ccxt
from settlement.conversions import late_fees
from settlement.models import Allocation, Conversion, Fill, LateFee
from settlement.venues import ccxt_venue
from tests.support.desk_bench import (
    POST,
    Desk,
    assert_books_agree,
    assert_settled_once,
    event,
    states,
    take_in,
)
from tests.support.tampering import broken

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "desk"])
UNIT = Decimal("0.00000001")


class Bnb:
    """The market of BNB at the venue: there or not, and how often it was asked for."""

    def __init__(self, exchange: Any) -> None:
        self.is_there = False
        self.asked = 0
        self._ask = exchange.fetch_bids_asks
        exchange.fetch_bids_asks = self.fetch

    def fetch(self, symbols: list[str]) -> Any:
        if symbols == ["BNB/USDT"]:
            self.asked += 1
            if not self.is_there:
                raise ccxt.BadSymbol("binance does not have market symbol BNB/USDT")
        return self._ask(symbols)


@pytest.fixture
def bnb(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> Bnb:
    """Fees are paid in BNB, which has no market."""
    monkeypatch.setattr(ccxt_venue, "VALUE_AGAIN_SECONDS", 0.0)
    exchange = desk.venue.real._exchange()
    exchange.sapiPostBnbBurn({"spotBNBBurn": "true"})
    desk.paper.set_price("BNBUSDT", "900")
    return Bnb(exchange)


@pytest.mark.parametrize("kind", ["OPEN", "CLOSE"])
@pytest.mark.parametrize("payout", ["instant", "at_fill"])
def test_a_fill_is_stored_and_booked_without_the_price_of_its_fees_asset(desk, bnb, kind, payout):
    made = desk.settle(event(kind=kind, payout=payout if kind == "CLOSE" else "instant"))
    assert (made.state, made.fee_usdt) == ("BOOKED", 0)
    [fill] = Fill.objects.all()
    assert (fill.fee_asset, fill.fee > 0, fill.fee_usdt) == ("BNB", True, None)
    [late] = LateFee.objects.all()
    assert (late.conversion_id, late.asset, late.amount) == (made.pk, "BNB", fill.fee)
    assert (late.worth_usdt, late.valued_at, late.taken_at) == (None, None, fill.traded_at)
    share = Allocation.objects.get()
    assert share.fee == 0
    if payout == "at_fill" and kind == "CLOSE":
        assert share.value - share.due < Decimal("0.000001")
    assert_books_agree(desk)


def test_it_is_valued_once_the_asset_has_a_price_and_no_trade_changes(desk, bnb):
    made = desk.settle(event())
    desk.resume()
    assert LateFee.objects.get().valued_at is None
    bnb.is_there = True
    desk.resume()
    [late] = LateFee.objects.all()
    assert late.worth_usdt == (late.amount * Decimal("900.005")).quantize(UNIT, "ROUND_HALF_EVEN")
    assert (late.valued_by, late.valued_at is not None) == ("settlement", True)
    assert Fill.objects.get().fee_usdt is None
    made.refresh_from_db()
    assert made.fee_usdt == 0
    asked = bnb.asked
    desk.resume()
    assert (bnb.asked, LateFee.objects.get().valued_at) == (asked, late.valued_at)  # once
    assert_books_agree(desk)


def test_no_order_of_the_coin_waits_for_the_other_market(desk, bnb):
    for _ in range(3):
        desk.settle(event())
    assert states() == ["BOOKED"] * 3
    assert set(AcceptedOrder.objects.values_list("state", flat=True)) == {"SETTLED"}
    bnb.is_there = True
    desk.settle(event())
    assert LateFee.objects.count() == 3
    assert Fill.objects.filter(fee_usdt__gt=0).count() == 1


def test_an_asset_without_a_price_is_not_asked_for_at_every_fill(desk, bnb, monkeypatch):
    monkeypatch.setattr(ccxt_venue, "VALUE_AGAIN_SECONDS", 3600.0)
    for _ in range(3):
        desk.settle(event())
    assert bnb.asked == 1


def test_an_order_that_was_out_of_sight_is_booked_too(desk, bnb):
    desk.paper.add_fault("reply_lost", **POST)
    take_in(event())
    lost = desk.convert()
    assert lost.state == Conversion.State.UNKNOWN
    desk.resume(after=20)
    assert_settled_once(desk, venue_orders=1)
    assert LateFee.objects.get().conversion_id == lost.pk


def test_the_audit_shows_it_in_flight_and_after_a_day_as_peoples(desk, bnb):
    made = desk.settle(event())

    def found(after: timedelta) -> tuple[Any, set[str]]:
        report = audit.run(now=timezone.now() + after, venue=desk.venue.real)
        return broken(report), {finding.where for finding in report.result(8).in_flight.listed}

    where = f"fee of conversion {made.pk} in BNB"
    assert where in found(timedelta(seconds=5))[1]
    assert ("nobody takes care of it", where) in found(timedelta(days=1, minutes=1))[0][8]
    bnb.is_there = True
    desk.resume()
    assert where not in found(timedelta(seconds=5))[1]


def test_a_person_enters_the_worth_of_an_asset_that_has_no_price_any_more(desk, bnb):
    desk.settle(event())
    [late] = LateFee.objects.all()
    user = get_user_model().objects.create_user("ann", password="x", is_staff=True)
    user.user_permissions.add(Permission.objects.get(codename="view_latefee"))
    page = reverse("admin:settlement_latefee_change", args=[late.pk])
    client = Client()
    client.force_login(user)
    assert client.post(page, {"worth_usdt": "0.6"}).status_code == 403
    user.user_permissions.add(Permission.objects.get(codename="value_latefee"))
    assert client.post(page, {"worth_usdt": "0.6"}).status_code == 302
    late.refresh_from_db()
    assert (late.worth_usdt, late.valued_by) == (Decimal("0.6"), "ann")
    assert client.post(page, {"worth_usdt": "5"}).status_code == 403
    assert not late_fees.value_by_hand(late, Decimal(5), by="bob", now=timezone.now())
    late.refresh_from_db()
    assert late.worth_usdt == Decimal("0.6")


def test_a_worth_without_its_time_is_refused(desk, bnb):
    desk.settle(event())
    with pytest.raises(IntegrityError):
        LateFee.objects.update(worth_usdt=1)
