"""How each coin is traded, as it was judged last: read wherever a price is shown."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from django.conf import settings

from counter.circuit_breaker import Limit, Reason, State, TradingTerms
from counter.models import TradingStatus, TradingSwitch
from counter.pricing.impact import CoinBook
from counter.trading.depths import impact_rates, read_books
from infra.coordination.ages import AHEAD_INTERVAL
from infra.db.rows import rows_of

NEWEST_QUOTES = f"""
    SELECT DISTINCT ON (o.underlying) o.underlying, q.quoted_at, q.index_price
    FROM counter_option AS o JOIN counter_quote AS q ON q.option_id = o.id
    WHERE o.expires_at > %(now)s AND q.quoted_at <= %(now)s + {AHEAD_INTERVAL}
    ORDER BY o.underlying, q.quoted_at DESC
"""  # noqa: S608 - our own


@dataclass(frozen=True, slots=True)
class Trading:
    """How a coin is traded at one moment; `spread_rate` is None for a coin that has never been judged.

    `takes_closes` is False while a person has stopped closing as well; `book` is there where size is charged for.
    """

    state: State = State.NORMAL
    spread_rate: Decimal | None = None
    reasons: tuple[str, ...] = ()
    takes_closes: bool = True
    book: CoinBook | None = None


def trading_by_coin(*, now: datetime) -> dict[str, Trading]:
    """How each coin that was judged or stopped is traded; one that is stopped, or that nobody watches, is halted."""
    current = terms()
    found = {}
    statuses = list(TradingStatus.objects.all())
    charging = any(status.delta_depth or status.vega_depth or status.premium_depth for status in statuses)
    books = read_books() if charging else {}
    for status in statuses:
        state, reasons = State(status.state), tuple(status.reasons)
        if not current.takes_opens(state=state, judged_at=status.judged_at, now=now):
            reasons = reasons if state is State.HALTED else (Reason.UNWATCHED,)
            state = State.HALTED
        if status.stop != TradingSwitch.State.RUNNING:
            state, reasons = State.HALTED, (Reason.TRADING_STOPPED, *reasons)
        takes_closes = status.stop != TradingSwitch.State.ALL_STOPPED
        found[status.underlying] = Trading(
            state, status.spread_rate, reasons, takes_closes, books.get(status.underlying)
        )
    return found


def newest_index(underlying: str, *, now: datetime) -> Decimal | None:
    """The index at which a living option of the coin was quoted last, USDT for one coin; None where none was."""
    newest = {coin: index for coin, _, index in rows_of("default", NEWEST_QUOTES, {"now": now})}
    return newest.get(underlying)


def terms() -> TradingTerms:
    """The terms of all coins, as the settings have them."""
    # A judgement is made with every quote, so it may be as old as quotes may be.
    _, unwatched_after_seconds = settings.BREAKER_AFTER_SECONDS[Reason.QUOTES_STALE]
    return TradingTerms(
        spread_rate=settings.SPREAD_RATE,
        wide_spread_rate=settings.WIDE_SPREAD_RATE,
        stale_after=timedelta(seconds=settings.QUOTE_STALE_AFTER_SECONDS),
        close_stale_after=timedelta(seconds=settings.CLOSE_STALE_AFTER_SECONDS),
        unwatched_after=timedelta(milliseconds=int(unwatched_after_seconds * 1000)),
        price_tolerance_rate=settings.PRICE_TOLERANCE_RATE,
        opens_end_before=timedelta(seconds=settings.OPENS_END_BEFORE_EXPIRY_SECONDS),
        impact_rates=impact_rates(),
    )


def limits_of(underlying: str) -> dict[Reason, Limit]:
    """The limits of a coin by cause, in the unit of its measure; the book's are there where they are set."""
    limits = {Reason(cause): Limit(*pair) for cause, pair in settings.BREAKER_AFTER_SECONDS.items()}
    limits[Reason.EXPOSURE] = Limit(*settings.BREAKER_EXPOSURE_USDT[underlying])
    for reason, by_coin in (
        (Reason.BOOK_DELTA, settings.BREAKER_BOOK_DELTA_USDT),
        (Reason.BOOK_VEGA, settings.BREAKER_BOOK_VEGA_USDT),
    ):
        if underlying in by_coin:
            limits[reason] = Limit(*by_coin[underlying])
    return limits
