"""Every way to trade at a price meets every protection, as the table of docs/decisions/protections.md says."""

from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from django.db import transaction

from counter.circuit_breaker import State
from counter.expiring import expiry
from counter.market import firm_quotes
from counter.market.firm_quotes import CloseQuoteRequest, OpenQuoteRequest
from counter.market.quotes import current_quotes, withdraw_quotes
from counter.models import Account, FirmQuote, Option, Position, Quote, TradingStatus, TradingSwitch
from counter.orders.placing import place_orders
from counter.orders.requests import Accepted, CloseRequest, OpenRequest, Rejected
from counter.trading.switches import throw
from tests.support.expiring import AFTER, BEFORE, EXPIRES_AT, record_index
from tests.support.factories import make_customer, make_option, make_quote, place_open, unique
from trade.holdings import Valuation

pytestmark = pytest.mark.django_db

SECOND = timedelta(seconds=1)
PAGE = Path(__file__).resolve().parents[2] / "docs/decisions/protections.md"
NOW = BEFORE + 10 * SECOND
LATER = NOW + 4 * SECOND  # firm quotes of NOW are good
USUAL, WIDE = Decimal("0.005"), Decimal("0.02")
CONTRACTS = 100  # enough that rounding does not show in a rate


def table():
    """(situation, path, what comes of it) of each cell."""
    rows = [line.strip("| \n").split(" | ") for line in PAGE.read_text().splitlines() if line.startswith("|")]
    paths, lines = [path.strip() for path in rows[0]], rows[2:]
    return [(line[0], path, cell) for line in lines for path, cell in zip(paths, line[1:], strict=True)]


@dataclass
class Market:
    """An option, a customer who holds some of it, and firm quotes of a moment ago."""

    option: Option
    customer_id: int
    position_id: int
    now = LATER
    firm: dict[str, FirmQuote] = field(default_factory=dict)

    def status(self, **changes) -> None:
        usual = {"spread_rate": USUAL, "since": NOW, "judged_at": LATER, "state": "NORMAL"}
        # The judge decides the state; here it is put straight into the row.
        if not TradingStatus.objects.filter(underlying="BTC").update(**usual | changes):
            TradingStatus.objects.create(underlying="BTC", **usual | changes)

    def quote(self, **changes) -> None:
        Quote.objects.filter(option=self.option).update(**changes)

    def account(self, **changes) -> None:
        Account.objects.filter(customer_id=self.customer_id).update(**changes)


def halted(market, **changes):
    market.status(state="HALTED", spread_rate=WIDE, **changes)


def leaps(market):
    halted(market, reasons=["index_leap"], pays_at_once=False)
    withdraw_quotes(underlying="BTC", now=LATER)


def just_moved(market):
    price = Decimal("0.025") * 90_000, Decimal("0.02") * 90_000
    market.quote(
        lowest_ask=price[0] * 2,
        lowest_ask_before=price[0] / Decimal("1.051"),
        highest_bid=price[1] / 2,
        highest_bid_before=price[1] / Decimal("0.949"),
        seen_since=LATER,
    )


def expire_in(market, seconds):
    Option.objects.filter(pk=market.option.pk).update(expires_at=LATER + seconds * SECOND)


SITUATIONS = {
    "as usual": lambda market: None,
    "quote stale": lambda market: market.quote(quoted_at=LATER - 11 * SECOND),
    "quote too old": lambda market: market.quote(quoted_at=LATER - 31 * SECOND),
    "no quote": lambda market: market.quote(bid=None, ask=None),
    "coin wide": lambda market: market.status(state="WIDE", spread_rate=WIDE),
    "coin halted": halted,
    "index leaps": leaps,
    "nobody watches": lambda market: market.status(judged_at=LATER - 9 * SECOND),
    "opens stopped": lambda market: market.status(stop=TradingSwitch.State.OPENS_STOPPED),
    "all stopped": lambda market: market.status(stop=TradingSwitch.State.ALL_STOPPED),
    "series halted": lambda market: Option.objects.filter(pk=market.option.pk).update(state="HALTED"),
    "opens ended": lambda market: expire_in(market, 60),
    "expired": lambda market: expire_in(market, 0),
    "price just moved": just_moved,
    "contracts of the customer": lambda market: market.account(contracts_limit=CONTRACTS),
    "USDT of the customer": lambda market: market.account(notional_limit=1),
    "orders of the customer": lambda market: market.account(
        orders_limit=1, orders_due_at=LATER + 10 * SECOND
    ),
    "contracts of the series": lambda market: market.quote(contracts_left=0, notional_left=0),
    "payouts at once": lambda market: market.status(pays_at_once=False),
}


@pytest.fixture(scope="module")
def market(django_db_setup, django_db_blocker):
    """Made once, for it costs 40 ms of CPU: each test's transaction, which is undone, lies within its own."""
    with django_db_blocker.unblock(), transaction.atomic():
        yield made_market()
        transaction.set_rollback(True)


def made_market():
    option = make_option(strike=80_000, days=1, now=BEFORE)
    customer = make_customer(balance="1000000", now=BEFORE)
    position_id = place_open(customer, option, contracts=CONTRACTS, now=BEFORE).position_id
    make_quote(option, now=NOW)
    made = Market(option, customer.pk, position_id)
    made.status()
    for path, request in (
        ("open", OpenQuoteRequest(customer.pk, option.symbol, CONTRACTS)),
        ("close", CloseQuoteRequest(customer.pk, position_id)),
    ):
        quote = firm_quotes.give(request=request, now=NOW)
        assert isinstance(quote, FirmQuote)
        made.firm[path] = quote
    make_quote(option, now=LATER)
    return made


def rate_of(part, whole):
    rate = (part / whole).quantize(Decimal("0.0001"))
    return {Decimal(0): "usual", USUAL: "usual", WIDE: "wide"}.get(rate, "aged")


def opening(market, **changes):
    return OpenRequest(market.customer_id, unique("o"), market.option.symbol, CONTRACTS, **changes)


def closing(market, **changes):
    return CloseRequest(market.customer_id, unique("c"), position_id=market.position_id, **changes)


REQUESTS = {
    "open": opening,
    "open by firm quote": lambda market: opening(market, quote_id=market.firm["open"].pk),
    "close, instant": closing,
    "close at fill": lambda market: closing(market, payout="at_fill"),
    "close by firm quote": lambda market: closing(market, quote_id=market.firm["close"].pk),
}


def told(outcome):
    """A cell's word for what an order came to."""
    if isinstance(outcome, Rejected):
        return str(outcome.code)
    assert isinstance(outcome, Accepted)
    order = outcome.order
    if order.payout == "at_fill":
        assert (order.spread, order.amount) == (0, 0)
        return rate_of(CONTRACTS * Decimal("0.0002") - order.coin, CONTRACTS * Decimal("0.0002"))
    assert abs(order.amount - order.fair) == order.spread
    return rate_of(order.spread, order.fair)


def placed(path):
    def tried(market):
        [outcome] = place_orders(requests=[REQUESTS[path](market)], now=LATER)
        return told(outcome)

    return tried


def quoted(kind):
    def tried(market):
        request = (
            OpenQuoteRequest(market.customer_id, market.option.symbol, CONTRACTS)
            if kind == "open"
            else CloseQuoteRequest(market.customer_id, market.position_id)
        )
        given = firm_quotes.give(request=request, now=LATER)
        return str(given.code) if isinstance(given, Rejected) else rate_of(given.spread, given.fair)

    return tried


def cost_shown(market):
    [*found] = current_quotes(now=LATER, symbol=market.option.symbol)
    if not found or found[0].cost is None:
        return "none"
    return "old" if found[0].is_stale else rate_of(found[0].cost - Decimal("22.5"), Decimal("22.5"))


def proceeds_shown(market):
    """By the API and the stream, and, of the whole position, on the trade page."""
    [*found] = current_quotes(now=LATER, symbol=market.option.symbol)
    shown = found[0].proceeds if found else None
    position = Position.objects.select_related("option__quote").get(pk=market.position_id)
    worth = Valuation(now=LATER).worth(position.option, position.remaining)
    assert worth.amount == (None if shown is None else shown * CONTRACTS)
    return "none" if shown is None else rate_of(18 - shown, Decimal(18))


def exercised(market):
    Option.objects.filter(pk=market.option.pk).update(expires_at=EXPIRES_AT)
    if TradingStatus.objects.get().stop == TradingSwitch.State.ALL_STOPPED:
        throw(
            underlying="BTC", to=TradingSwitch.State.ALL_STOPPED, reason="a test", by="test", now=EXPIRES_AT
        )
    record_index()
    expiry.expire_due(now=AFTER)
    state = Position.objects.get(pk=market.position_id).state
    return {"EXERCISED": "paid", "OPEN": "waits"}[state]


PATHS = {
    **{path: placed(path) for path in REQUESTS},
    "firm quote for an open": quoted("open"),
    "firm quote for a close": quoted("close"),
    "cost shown": cost_shown,
    "proceeds shown": proceeds_shown,
    "exercise": exercised,
}


@pytest.mark.parametrize(("situation", "path", "expected"), table())
def test_a_path_meets_a_protection_as_the_table_says(market, situation, path, expected):
    SITUATIONS[situation](market)
    assert PATHS[path](market) == expected


@pytest.mark.parametrize("situation", SITUATIONS)
def test_a_batch_meets_it_as_each_of_its_orders_alone(market, situation):
    SITUATIONS[situation](market)
    cells = {path: cell for name, path, cell in table() if name == situation}
    for path, make in REQUESTS.items():
        elsewhere = make_customer(balance="0", now=BEFORE)
        stranger = OpenRequest(elsewhere.pk, unique("o"), market.option.symbol, 1, max_cost=Decimal(1))
        taken = place_orders(requests=[stranger, make(market), stranger], now=LATER)
        assert told(taken[1]) == cells[path], path
        if isinstance(taken[1], Accepted) and path.startswith("close"):
            Position.objects.filter(pk=market.position_id).update(remaining=CONTRACTS, state="OPEN", unpaid=0)


def test_the_table_has_every_situation_and_every_path():
    cells = table()
    assert {situation for situation, _, _ in cells} == set(SITUATIONS)
    assert {path for _, path, _ in cells} == set(PATHS)
    assert len(cells) == len(SITUATIONS) * len(PATHS)
    assert set(State) == {State.NORMAL, State.WIDE, State.HALTED}
