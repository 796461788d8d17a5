"""Customers, options with quotes, and orders placed by the real operation; every argument has a default."""

import itertools
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from django.utils import timezone

from counter.market.listing import MULTIPLIERS, Listing
from counter.market.quotes import NewQuote, list_options, update_quotes
from counter.market.symbols import format_symbol
from counter.models import Customer, Option, Quote
from counter.money.accounts import deposit, open_customer
from counter.orders.placing import place_orders
from counter.orders.requests import Accepted, CloseRequest, OpenRequest, Order, OrderRequest

INDEX = {"BTC": Decimal(90_000), "ETH": Decimal(3_000)}  # where the paper venue starts
_numbers = itertools.count(1)


def unique(prefix: str) -> str:
    """A name that no other call of this process has had."""
    return f"{prefix}-{next(_numbers)}"


def make_customer(*, balance: str | Decimal = "100000", now: datetime | None = None) -> Customer:
    """A customer with `balance` USDT deposited."""
    at = now or timezone.now()
    name = unique("customer")
    customer = open_customer(reference=name, password=None, now=at)
    if Decimal(balance):
        deposit(customer_id=customer.pk, amount=Decimal(balance), reference=f"deposit-{name}", now=at)
    return customer


def make_option(
    *,
    underlying: str = "BTC",
    kind: str = "C",
    strike: int | None = None,
    days: int = 30,
    bid: str = "0.020000",
    ask: str = "0.025000",
    index: Decimal | None = None,
    now: datetime | None = None,
) -> Option:
    """A listed option with a fresh quote (premiums in coin); a second call with the same terms quotes it again."""
    at = now or timezone.now()
    index = index or INDEX[underlying]
    terms = underlying, kind, strike or int(index), days
    option = _made_before(terms, at=at)
    if option is None:
        option = _list_option(*terms, at=at)
        _made[terms] = at, option.symbol
    make_quote(option, bid=bid, ask=ask, index=index, now=at)
    return option


def make_options(strikes: Iterable[int], *, days: int = 30) -> list[Option]:
    """Calls on BTC such as `make_option` makes, listed and quoted together: one by one each costs 8 ms of CPU."""
    at = timezone.now()
    expiry_at = _expiry(at, days)
    listings = [
        Listing(
            symbol=format_symbol(underlying="BTC", expiry_at=expiry_at, strike=Decimal(strike), kind="C"),
            underlying="BTC",
            kind="C",
            strike=Decimal(strike),
            expiry_at=expiry_at,
            multiplier=MULTIPLIERS["BTC"],
        )
        for strike in strikes
    ]
    list_options(listings=listings, now=at)
    update_quotes(
        quotes=[
            NewQuote(
                symbol=each.symbol,
                bid=Decimal("0.020000"),
                ask=Decimal("0.025000"),
                mark=Decimal("0.025000"),
                implied_volatility=Decimal("0.5"),
                index_price=INDEX["BTC"],
            )
            for each in listings
        ],
        now=at,
    )
    return list(Option.objects.filter(symbol__in=[each.symbol for each in listings]).order_by("strike"))


Terms = tuple[str, str, int, int]  # underlying, kind, strike, days
_made: dict[Terms, tuple[datetime, str]] = {}
SAME_DAY = timedelta(hours=6)


def _made_before(terms: Terms, *, at: datetime) -> Option | None:
    """The option that these terms made a while ago, or will have: `at` may be past midnight, which is a day later."""
    made_at, symbol = _made.get(terms, (at, ""))
    return Option.objects.filter(symbol=symbol).first() if symbol and abs(at - made_at) < SAME_DAY else None


def _list_option(underlying: str, kind: str, strike: int, days: int, *, at: datetime) -> Option:
    expires_at = _expiry(at, days)
    symbol = format_symbol(
        underlying=underlying,
        expiry_at=expires_at,
        strike=Decimal(strike),
        kind=kind,  # type: ignore[arg-type]
    )
    option, _ = Option.objects.get_or_create(
        symbol=symbol,
        defaults={
            "underlying": underlying,
            "kind": kind,
            "strike": strike,
            "expires_at": expires_at,
            "multiplier": MULTIPLIERS[underlying],
        },
    )
    return option


def _expiry(at: datetime, days: int) -> datetime:
    day = (at + timedelta(days=days)).date()
    return datetime.combine(day, datetime.min.time(), UTC).replace(hour=8)


def make_quote(
    option: Option,
    *,
    bid: str | None = "0.020000",
    ask: str | None = "0.025000",
    index: Decimal | None = None,
    now: datetime | None = None,
) -> Quote:
    """Set the option's quote, fresh at `now`."""
    quote, _ = Quote.objects.update_or_create(
        option=option,
        defaults={
            "bid": None if bid is None else Decimal(bid),
            "ask": None if ask is None else Decimal(ask),
            "mark": Decimal(ask or bid or "0.01"),
            "implied_volatility": Decimal("0.5"),
            "index_price": index or INDEX[option.underlying],
            "quoted_at": now or timezone.now(),
        },
    )
    return quote


def place(*requests: OrderRequest, now: datetime | None = None) -> list[Order]:
    """Place requests as one batch; every one of them must be accepted."""
    outcomes = place_orders(requests=requests, now=now or timezone.now())
    refused = [outcome for outcome in outcomes if not isinstance(outcome, Accepted)]
    assert not refused, refused
    return [outcome.order for outcome in outcomes if isinstance(outcome, Accepted)]


def place_open(
    customer: Customer, option: Option, *, contracts: int = 1, now: datetime | None = None
) -> Order:
    """One accepted opening order."""
    request = OpenRequest(
        customer_id=customer.pk,
        client_order_id=unique("open"),
        symbol=option.symbol,
        contracts=contracts,
    )
    return place(request, now=now)[0]


def place_close(
    opening: Order, *, contracts: int | None = None, payout: str = "instant", now: datetime | None = None
) -> Order:
    """One accepted close of what `opening` opened, in whole or in part."""
    request = CloseRequest(
        customer_id=opening.customer_id,
        client_order_id=unique("close"),
        position_id=opening.position_id,
        contracts=contracts,
        payout=payout,
    )
    return place(request, now=now)[0]
