"""While the index of a coin leaps there is no price to open, to close or to promise anything at."""

from datetime import UTC, datetime, timedelta

import pytest

from counter.market.firm_quotes import CloseQuoteRequest, OpenQuoteRequest, give
from counter.market.quotes import withdraw_quotes
from counter.models import DeskCondition, TradingStatus
from counter.orders.placing import place_orders
from counter.orders.requests import CloseRequest, OpenRequest
from counter.trading.watch import Watch
from tests.support.factories import make_customer, make_option, make_quote, place_open, unique

pytestmark = pytest.mark.django_db

NOW = datetime(2026, 11, 1, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)


@pytest.fixture
def watched():
    """A quoted option of each coin, and a function that judges the coins so many seconds later, freshly quoted."""
    options = {"BTC": make_option(now=NOW), "ETH": make_option(underlying="ETH", now=NOW)}
    watch = Watch(started_at=NOW)

    def judged(after, **leaps):
        now = NOW + after * SECOND
        for coin, option in options.items():
            if coin not in leaps:
                make_quote(option, now=now)
            DeskCondition.objects.update_or_create(
                underlying=coin, defaults={"as_of": now, "received_at": now}
            )
        watch.judge(now=now, leaps={coin: NOW + since * SECOND for coin, since in leaps.items()})
        return {status.underlying: status for status in TradingStatus.objects.all()}

    return options, judged


def code_of(outcome):
    return getattr(outcome, "code", "accepted")


def paths(customer, option, position_id, now):
    """What each way to trade at a price answers."""
    customer_id = customer.pk
    opening = OpenRequest(
        customer_id=customer_id, client_order_id=unique("o"), symbol=option.symbol, contracts=1
    )
    closings = [
        CloseRequest(
            customer_id=customer_id,
            client_order_id=unique("c"),
            position_id=position_id,
            contracts=1,
            payout=payout,
        )
        for payout in ("instant", "at_fill")
    ]
    placed = place_orders(requests=[opening, *closings], now=now)
    promised = [
        give(request=OpenQuoteRequest(customer_id=customer_id, symbol=option.symbol, contracts=1), now=now),
        give(
            request=CloseQuoteRequest(customer_id=customer_id, position_id=position_id, contracts=1), now=now
        ),
    ]
    return [code_of(outcome) for outcome in (*placed, *promised)]


def test_a_leap_halts_the_coin_and_its_instant_payouts_at_once_and_no_other_coin(watched):
    _, judged = watched
    assert judged(0)["BTC"].state == "NORMAL"
    after = judged(1, BTC=1)
    assert (after["BTC"].state, after["BTC"].reasons) == ("HALTED", ["index_leap"])
    assert not after["BTC"].pays_at_once
    assert (after["ETH"].state, after["ETH"].pays_at_once) == ("NORMAL", True)


def test_instant_payouts_stay_off_until_the_coin_reopens(watched):
    _, judged = watched
    judged(0)
    judged(1, BTC=1)
    easing = judged(2)["BTC"]
    assert (easing.state, easing.reasons) == ("HALTED", ["index_leap", "reopening"])
    assert not easing.pays_at_once
    wide = judged(12)["BTC"]
    assert (wide.state, wide.reasons, wide.pays_at_once) == ("WIDE", ["reopening"], True)
    assert judged(22)["BTC"].state == "NORMAL"


def test_while_quotes_are_withdrawn_nothing_is_sold_bought_or_promised(watched):
    options, judged = watched
    customer = make_customer(now=NOW)
    judged(0)
    btc, eth = (
        place_open(customer, options[coin], contracts=9, now=NOW).position_id for coin in ("BTC", "ETH")
    )
    assert withdraw_quotes(underlying="BTC", now=NOW + SECOND) == 1
    judged(1, BTC=1)
    now = NOW + SECOND
    assert paths(customer, options["BTC"], btc, now) == [
        "coin_halted",
        "payout_at_fill_only",
        "quote_missing",
        "coin_halted",
        "payout_at_fill_only",
    ]
    assert paths(customer, options["ETH"], eth, now) == ["accepted"] * 5
