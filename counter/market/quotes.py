"""The quote book: what each option costs at this moment, written by the feed and read by customers.

Guards the order of time: an older quote never takes the place of a newer one, so that two feeds, or a slow one, cannot
turn the price back. Only what lies ahead of the database's clock gives way: a wrong clock has dated it, and until then
it counts as stale.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import NamedTuple

import structlog
from django.db import connection, models

from counter.circuit_breaker import State, TradingTerms
from counter.market.listing import Listing
from counter.models import Option, Quote
from counter.pricing import formulas
from counter.pricing.sized import Charging, Quoted, close_proceeds, open_cost
from counter.trading.status import Trading, trading_by_coin
from counter.trading.status import terms as trading_terms
from infra.coordination.ages import AHEAD_INTERVAL, age
from infra.db.arrays import array, columns

ZERO = Decimal(0)
# The lowest ask and the highest bid of the last seconds are kept by two spans, the present one and the one before: what
# was quoted longest ago goes with its span, and nothing has to be remembered by the feed.
SAME_SPAN = (
    "EXCLUDED.quoted_at >= counter_quote.seen_since "
    "AND EXCLUDED.quoted_at < counter_quote.seen_since + interval '3 seconds'"
)
UPSERT = f"""
    INSERT INTO counter_quote (option_id, bid, ask, mark, implied_volatility, index_price, forward, delta, vega,
                               quoted_at, lowest_ask, highest_bid, seen_since)
    SELECT o.id, v.bid, v.ask, v.mark, v.implied_volatility, v.index_price, v.forward,
           v.delta, v.vega, now,
           v.ask * v.index_price, v.bid * v.index_price, now
    FROM unnest(%s::varchar[], %s::numeric[], %s::numeric[], %s::numeric[], %s::numeric[], %s::numeric[],
                %s::numeric[], %s::numeric[], %s::numeric[])
        AS v(symbol, bid, ask, mark, implied_volatility, index_price, forward, delta, vega)
    JOIN counter_option AS o USING (symbol) CROSS JOIN (SELECT %s::timestamptz AS now) AS moment
    ORDER BY o.id
    ON CONFLICT (option_id) DO UPDATE SET
        bid = EXCLUDED.bid, ask = EXCLUDED.ask, mark = EXCLUDED.mark,
        implied_volatility = EXCLUDED.implied_volatility, index_price = EXCLUDED.index_price,
        forward = EXCLUDED.forward, delta = EXCLUDED.delta, vega = EXCLUDED.vega, quoted_at = EXCLUDED.quoted_at,
        lowest_ask = CASE WHEN {SAME_SPAN}
            THEN LEAST(counter_quote.lowest_ask, EXCLUDED.lowest_ask) ELSE EXCLUDED.lowest_ask END,
        lowest_ask_before = CASE WHEN {SAME_SPAN}
            THEN counter_quote.lowest_ask_before ELSE counter_quote.lowest_ask END,
        highest_bid = CASE WHEN {SAME_SPAN}
            THEN GREATEST(counter_quote.highest_bid, EXCLUDED.highest_bid) ELSE EXCLUDED.highest_bid END,
        highest_bid_before = CASE WHEN {SAME_SPAN}
            THEN counter_quote.highest_bid_before ELSE counter_quote.highest_bid END,
        seen_since = CASE WHEN {SAME_SPAN} THEN counter_quote.seen_since ELSE EXCLUDED.seen_since END
    WHERE counter_quote.quoted_at < EXCLUDED.quoted_at
        OR counter_quote.quoted_at > greatest(EXCLUDED.quoted_at, clock_timestamp()) + {AHEAD_INTERVAL}
"""  # noqa: S608 - our own


# By the database's clock as well: a process that is behind would forget what is true.
RECORD = f"""
    WITH sample AS (
        SELECT * FROM unnest(%s::varchar[], %s::numeric[]) AS v(underlying, price)
        CROSS JOIN (SELECT %s::timestamptz AS at) AS moment
    ), forgotten AS (
        DELETE FROM counter_indexprice AS p USING sample AS s
        WHERE p.underlying = s.underlying AND p.at > greatest(s.at, clock_timestamp()) + {AHEAD_INTERVAL}
        RETURNING p.id
    ), recorded AS (
        INSERT INTO counter_indexprice (underlying, price, at) SELECT underlying, price, at FROM sample
    )
    SELECT count(*) FROM forgotten
"""  # noqa: S608 - our own

log = structlog.get_logger(__name__)

WITHDRAW = """
    UPDATE counter_quote AS q SET bid = NULL, ask = NULL FROM counter_option AS o
    WHERE o.id = q.option_id AND o.underlying = %s AND o.expires_at > %s
      AND (q.bid IS NOT NULL OR q.ask IS NOT NULL)
"""


class ListingContradicted(ValueError):
    """An option of this symbol is already listed on other terms."""


class NewQuote(NamedTuple):
    """A two-sided premium in coin (6 decimals), None on a side without a price; index and forward it was made at."""

    symbol: str
    bid: Decimal | None
    ask: Decimal | None
    mark: Decimal
    implied_volatility: Decimal
    index_price: Decimal
    forward: Decimal | None = None
    # Of the option on one coin: coin, and USDT for a percentage point; None where its coin charges nothing for size.
    delta: Decimal | None = None
    vega: Decimal | None = None


@dataclass(frozen=True, slots=True)
class CurrentQuote:
    """An option's quote with what `contracts` cost and bring in USDT now, spread included; how its coin is traded.

    There is no cost while the coin is halted and in the option's last moments, and no proceeds while a person has
    stopped closing and at a price that is too old to close on.
    """

    quote: Quote
    cost: Decimal | None
    proceeds: Decimal | None
    is_stale: bool
    trading: Trading
    contracts: int = 1


def update_quotes(*, quotes: Sequence[NewQuote], now: datetime) -> int:
    """Store quotes made at `now`, the last one of a symbol; how many options took theirs.

    Symbols that are not listed, and options with a newer quote, are passed over.
    """
    latest = list({quote.symbol: quote for quote in quotes}.values())
    with connection.cursor() as cursor:
        cursor.execute(UPSERT, [*columns(latest, NewQuote._fields), now])
        return cursor.rowcount


def withdraw_quotes(*, underlying: str, now: datetime) -> int:
    """Leave the living options of a coin without a price on either side until they are quoted anew; how many had one.

    For a coin whose price is not known at the moment: no path of an order has anything to go by then.
    """
    with connection.cursor() as cursor:
        cursor.execute(WITHDRAW, [underlying, now])
        return cursor.rowcount


def record_index(*, prices: Mapping[str, Decimal], now: datetime) -> None:
    """Keep the index of each underlying at `now`, USDT for one coin: settlement averages are taken from these.

    What lies ahead was dated by a wrong clock, and would come into the average of an expiry to come.
    """
    with connection.cursor() as cursor:
        cursor.execute(RECORD, [array(list(prices)), array(list(prices.values())), now])
        [[forgotten]] = cursor.fetchall()
    if forgotten:
        log.error("samples of the index lay in the future: a clock was wrong", forgotten=forgotten)


def list_options(*, listings: Sequence[Listing], now: datetime) -> list[str]:
    """List the options that are not listed yet and have not expired; the symbols that are new.

    Raises: ListingContradicted, and nothing is listed then.
    """
    living = {listing.symbol: listing for listing in listings if listing.expiry_at > now}
    known = {option.symbol: option for option in Option.objects.filter(symbol__in=living)}
    for symbol, option in known.items():
        if _terms(_option(living[symbol])) != _terms(option):
            raise ListingContradicted(f"{symbol} is listed with {_terms(option)}")
    new = [symbol for symbol in living if symbol not in known]
    # Conflicts are ignored because another feed may list the same at this moment.
    Option.objects.bulk_create([_option(living[symbol]) for symbol in new], ignore_conflicts=True)
    return new


def current_quotes(
    *,
    now: datetime,
    underlying: str | None = None,
    expiry: date | None = None,
    symbol: str | None = None,
    contracts: int = 1,
) -> list[CurrentQuote]:
    """Quotes of the options that have not expired, by underlying, expiry and strike, each with its option.

    Cost and proceeds are those of an order of so many contracts.
    """
    options = tradable_options(now=now, underlying=underlying, expiry=expiry, symbol=symbol)
    quotes = Quote.objects.filter(option__in=options).select_related("option")
    coins, terms = trading_by_coin(now=now), trading_terms()
    return [
        _current(quote, coins.get(quote.option.underlying, Trading()), terms, now, contracts)
        for quote in quotes.order_by(
            "option__underlying", "option__expires_at", "option__strike", "option__kind"
        )
    ]


def _current(
    quote: Quote, trading: Trading, terms: TradingTerms, now: datetime, contracts: int
) -> CurrentQuote:
    """Priced as an order of this moment would be."""
    closable_for = max(terms.stale_after, terms.close_stale_after)
    takes_closes = trading.takes_closes and age(quote.quoted_at, now=now) <= closable_for
    takes_opens = trading.state is not State.HALTED and now < terms.opens_end_at(quote.option.expires_at)
    return CurrentQuote(
        quote=quote,
        cost=_cost(quote, trading, terms, contracts) if takes_opens else None,
        proceeds=_proceeds(quote, trading, terms, contracts, now) if takes_closes else None,
        is_stale=age(quote.quoted_at, now=now) > terms.stale_after,
        trading=trading,
        contracts=contracts,
    )


def tradable_options(
    *, now: datetime, underlying: str | None = None, expiry: date | None = None, symbol: str | None = None
) -> models.QuerySet[Option]:
    """Options that have not expired, the halted ones among them, by underlying, expiry and strike."""
    options = Option.objects.filter(
        expires_at__gt=now, state__in=[Option.State.LISTED, Option.State.HALTED]
    ).order_by("underlying", "expires_at", "strike", "kind")
    if underlying is not None:
        options = options.filter(underlying=underlying)
    if expiry is not None:
        begins_at, ends_at = (datetime.combine(expiry, moment, UTC) for moment in (time.min, time.max))
        options = options.filter(expires_at__gte=begins_at, expires_at__lte=ends_at)
    if symbol is not None:
        options = options.filter(symbol=symbol)
    return options


def _option(listing: Listing) -> Option:
    return Option(
        symbol=listing.symbol,
        underlying=listing.underlying,
        kind=listing.kind,
        strike=listing.strike,
        expires_at=listing.expiry_at,
        multiplier=listing.multiplier,
    )


def _terms(option: Option) -> tuple[object, ...]:
    return option.underlying, option.kind, option.strike, option.expires_at, option.multiplier


def _cost(quote: Quote, trading: Trading, terms: TradingTerms, contracts: int) -> Decimal | None:
    """USDT at the ask; None without one, and for more than can be priced."""
    if not quote.ask:
        return None
    try:
        return open_price(quote, trading, terms, contracts).cost
    except formulas.AmountTooLarge:
        return None


def _proceeds(
    quote: Quote, trading: Trading, terms: TradingTerms, contracts: int, now: datetime
) -> Decimal | None:
    """USDT at the bid; None without one, and for more than can be priced."""
    if not quote.bid:
        return None
    try:
        return close_price(quote, trading, terms, contracts, now=now).proceeds
    except formulas.AmountTooLarge:
        return None


def open_price(quote: Quote, trading: Trading, terms: TradingTerms, contracts: int) -> formulas.OpenPrice:
    """What an open of so many contracts costs at a quote that has an ask; the quote's option is loaded.

    As for a customer who has no firm quotes.

    Raises: AmountTooLarge.
    """
    charging = Charging(trading.book, terms.impact_rates)
    spread_rate = terms.open_rate(trading.spread_rate)
    return open_cost(_quoted(quote, quote.ask), contracts, charging, spread_rate=spread_rate)


def close_price(
    quote: Quote, trading: Trading, terms: TradingTerms, contracts: int, *, now: datetime
) -> formulas.ClosePrice:
    """What an instant close of so many contracts brings at a quote that has a bid; the quote's option is loaded.

    As for a customer who has no firm quotes.

    Raises: AmountTooLarge.
    """
    charging = Charging(trading.book, terms.impact_rates)
    spread_rate = terms.close_rate(rate=trading.spread_rate, quoted_at=quote.quoted_at, now=now)
    return close_proceeds(_quoted(quote, quote.bid), contracts, charging, spread_rate=spread_rate)


def after_close(trading: Trading, quote: Quote, contracts: int) -> Trading:
    """How the coin is traded once so many contracts were closed at a quote that has a bid: by the book they leave."""
    if trading.book is None:
        return trading
    flow = _quoted(quote, quote.bid).flow(contracts, opens=False)
    return replace(trading, book=replace(trading.book, at=trading.book.at.plus(flow)))


def _quoted(quote: Quote, premium: Decimal | None) -> Quoted:
    return Quoted(quote.option.multiplier, premium or ZERO, quote.index_price, quote.delta, quote.vega)
