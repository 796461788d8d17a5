"""A no that every order would meet halts what it concerns, is asked again, reopens by itself and tells people once."""

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.conf import settings as project_settings
from django.utils import timezone

from settlement.conversions import chasing, rounds
from settlement.counter_link import conditions
from settlement.funds import treasury
from settlement.models import Attempt, Conversion, Intervention, VenueHalt
from settlement.venues import error_table, halts
from settlement.venues.halts import VenueHalted
from tests.support.desk_bench import Desk, assert_books_agree, event, order_states, states, take_in

pytestmark = pytest.mark.django_db(transaction=True, databases=["desk"])

ORDERS = {"path": "/api/v3/order$", "method": "POST"}
# What the venue says, and whether it halts the coin only.
NOES: dict[str, tuple[dict[str, Any], bool]] = {
    "a closed market": ({"kind": "market_closed", "symbol": "BTCUSDT"}, True),
    "a closed market, in the words of a rejection": (
        {"kind": "market_closed", "symbol": "BTCUSDT", "code": -2010},
        True,
    ),
    "a symbol in BREAK": ({"kind": "symbol_status", "symbol": "BTCUSDT"}, True),
    "a symbol in HALT": ({"kind": "symbol_status", "symbol": "BTCUSDT", "status_text": "HALT"}, True),
    "a symbol that is not permitted": (
        {
            "kind": "market_closed",
            "symbol": "BTCUSDT",
            "code": -2010,
            "message": "This symbol is not permitted for this account.",
        },
        True,
    ),
    "trading disabled": ({"kind": "trading_disabled"}, False),
    "an action disabled": (
        {"kind": "trading_disabled", "message": "This action is disabled on this account."},
        False,
    ),
    "a key that may not": ({"kind": "error_before", **ORDERS, "status": 401, "code": -2015}, False),
    "a key that is not authorized": ({"kind": "error_before", **ORDERS, "status": 401, "code": -1002}, False),
}


@pytest.fixture(autouse=True)
def nothing_missed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chasing, "_missed_at", {})


def work_off(desk: Desk, underlying: str = "BTC") -> int:
    try:
        return rounds.work_off(underlying=underlying, venue=desk.venue).rounds
    except VenueHalted:
        return 0


def told(caplog: pytest.LogCaptureFixture) -> int:
    """How often people were told that something is halted."""
    return sum(record.levelname == "ERROR" and "venue halted" in str(record.msg) for record in caplog.records)


@pytest.mark.parametrize(("fault", "of_coin"), NOES.values(), ids=NOES)
def test_a_no_to_every_order_halts_its_scope_and_reopens_by_itself(desk, fault, of_coin, caplog):
    desk.venue.market("BTC")
    desk.paper.add_fault(**fault)
    for _ in range(28):
        take_in(event())
        work_off(desk)
    halt = VenueHalt.objects.get()
    assert (halt.underlying, halt.lifted_at) == ("BTC" if of_coin else "", None)
    assert len(desk.venue.submissions) == 1
    assert order_states() == {"RECEIVED"}
    assert set(states()) == {"MISSED"}
    assert not Intervention.objects.exists()

    take_in(event(underlying="ETH", coin="1"))
    assert work_off(desk, "ETH") == of_coin  # only what is concerned is halted
    since = {told.underlying: told.venue_halted_since for told in conditions.conditions()}
    assert since == {"BTC": halt.began_at, "ETH": None if of_coin else halt.began_at}

    after = 0.0
    for _ in range(6):  # asked when due; what answers well is tried with an order
        after += 100
        desk.resume(after=after)
        work_off(desk)
    assert order_states() <= {"RECEIVED", "SETTLED"}
    assert len(desk.venue.submissions) <= 8 + of_coin
    assert told(caplog) <= 1 + len(VenueHalt.objects.filter(lifted_at__isnull=False))

    desk.paper.clear_faults()
    desk.resume(after=after + 200)
    assert not VenueHalt.objects.filter(lifted_at=None).exists()
    for coin in project_settings.COINS:
        work_off(desk, coin)
    assert order_states() == {"SETTLED"}
    assert_books_agree(desk)


def test_a_halt_that_its_first_order_meets_again_is_the_same_one_and_told_once(desk, caplog):
    message = "This symbol is restricted for this account."
    desk.paper.add_fault("market_closed", symbol="BTCUSDT", code=-2010, message=message)
    take_in(event())
    work_off(desk)
    first = VenueHalt.objects.get()
    for _ in range(3):
        VenueHalt.objects.filter(lifted_at=None).update(ask_at=timezone.now())
        desk.resume()
        work_off(desk)
    assert VenueHalt.objects.count() == 4
    standing = VenueHalt.objects.get(lifted_at=None)
    assert standing.since == first.began_at
    assert conditions.conditions()[0].venue_halted_since == first.began_at
    assert told(caplog) == 1
    pause = (standing.ask_at - standing.began_at).total_seconds()
    assert pause >= error_table.HALT_SECONDS[3]


def test_a_market_that_is_shown_as_closed_is_sent_nothing(desk):
    desk.venue.market("BTC")
    desk.paper.add_fault("symbol_status", symbol="BTCUSDT")
    desk.venue.forget_markets()
    take_in(event(), event(underlying="ETH", coin="1"))
    assert work_off(desk) == 0
    assert desk.venue.submissions == []
    assert VenueHalt.objects.get().underlying == "BTC"
    assert work_off(desk, "ETH") == 1


@pytest.mark.parametrize("kind", ["firewall", "region"])
def test_what_stands_in_front_of_the_venue_proves_nothing_of_the_order_and_halts_the_venue(desk, kind):
    desk.paper.add_fault(kind, **ORDERS, count=1)
    take_in(event(), event(underlying="ETH", coin="1"))
    work_off(desk)
    assert states() == ["UNKNOWN"]
    assert VenueHalt.objects.get().underlying == ""
    take_in(event())
    assert work_off(desk, "ETH") == 0
    assert len(desk.venue.submissions) == 1
    for step in range(1, 9):
        desk.resume(after=20 * step)
    assert states() == ["MISSED"]
    for coin in ("BTC", "ETH"):
        assert work_off(desk, coin) == 1
    assert order_states() == {"SETTLED"}
    assert_books_agree(desk)


FILTERS = [
    {"step": "0.001"},
    {"tick": "10"},
    {"min_notional": "5000"},
]


@pytest.mark.parametrize("filters", FILTERS, ids=str)
def test_filters_that_change_in_mid_session_are_read_again_and_the_orders_are_planned_anew(desk, filters):
    desk.settle(event())
    desk.paper.add_fault("filters", symbol="BTCUSDT", **filters)
    take_in(event(coin="0.01234"))
    assert work_off(desk) == 1
    assert states()[-1] == "BOOKED"
    assert order_states() == {"SETTLED"}
    assert not VenueHalt.objects.exists()
    last = Conversion.objects.latest("id")
    if "step" in filters:
        assert last.quantity % Decimal("0.001") == 0
    assert_books_agree(desk)


def test_what_is_less_than_a_new_step_when_it_is_sent_again_is_planned_anew(desk, monkeypatch):
    desk.settle(event())

    def filters_change(*, venue: Any, **_: Any) -> bool:
        desk.paper.add_fault("filters", symbol="BTCUSDT", step="0.01")
        venue.forget_markets()
        return True

    monkeypatch.setattr(treasury, "top_up", filters_change)
    message = "Account has insufficient balance for requested action."
    desk.paper.add_fault("error_before", **ORDERS, status=400, code=-2010, message=message, count=1)
    take_in(event(coin="0.00234"))
    work_off(desk)
    assert "MANUAL" not in states()
    assert order_states() == {"SETTLED"}
    assert Attempt.objects.filter(follow="replan").count() == 1
    assert_books_agree(desk)


def test_a_filter_that_refuses_what_fits_it_halts_the_coin_and_goes_to_nobody(desk):
    desk.paper.add_fault(
        "error_before", **ORDERS, status=400, code=-1013, message="Filter failure: PERCENT_PRICE"
    )
    take_in(event())
    work_off(desk)
    assert states() == ["MISSED"] * 2
    assert VenueHalt.objects.get().underlying == "BTC"
    assert order_states() == {"RECEIVED"}


def test_a_refusal_that_nobody_listed_is_the_symbols_when_order_after_order_meets_it(desk):
    desk.paper.add_fault("error_before", **ORDERS, status=400, code=-987654)
    for _ in range(10):
        take_in(event())
        work_off(desk)
    assert states() == ["MANUAL", "MANUAL", "MISSED"]
    assert VenueHalt.objects.get().reason.endswith("3 orders in a row")
    assert Attempt.objects.latest("id").follow == "halt"


def test_while_the_venue_is_halted_nothing_is_asked_about_single_coins(desk):
    now = timezone.now()
    halts.begin(venue="binance", reason="banned", now=now, asked_for=500)
    halts.begin(venue="binance", underlying="BTC", reason="closed", now=now)
    desk.paper.add_fault("error_before", path="/api/v3")
    left = halts.ask_due(venue=desk.venue, now=now + timedelta(seconds=100))
    assert [(halt.underlying, halt.asked) for halt in left] == [("", 0), ("BTC", 0)]
