"""When a coin's spread is widened and when the coin is halted: docs/decisions/circuit-breaker.md says why these."""

from decimal import Decimal

from config.environment import Subject
from config.settings.desk import COINS
from config.settings.prices import SPREAD_RATE

_breaker = Subject("Circuit breaker")

WIDE_SPREAD_RATE = _breaker.rate(
    "WIDE_SPREAD_RATE",
    "0.02",
    "the spread while a coin is widened ([why](decisions/circuit-breaker.md))",
    least=SPREAD_RATE,
    least_name="SPREAD_RATE",
)
BREAKER_EXPOSURE_USDT = _breaker.pairs_by_coin(
    "WIDEN_ABOVE_EXPOSURE_USDT",
    "HALT_ABOVE_EXPOSURE_USDT",
    ("5000000", "10000000"),
    COINS,
    "unhedged USDT of a coin from which it is {}",
)
# Of the option book by coin, where it has limits: docs/decisions/circuit-breaker.md.
BREAKER_BOOK_DELTA_USDT = _breaker.pairs_by_coin_or_off(
    "WIDEN_ABOVE_BOOK_DELTA_USDT",
    "HALT_ABOVE_BOOK_DELTA_USDT",
    COINS,
    "delta of the option book, coin times index, long or short, from which a coin is {}",
)
BREAKER_BOOK_VEGA_USDT = _breaker.pairs_by_coin_or_off(
    "WIDEN_ABOVE_BOOK_VEGA_USDT",
    "HALT_ABOVE_BOOK_VEGA_USDT",
    COINS,
    "vega of the option book for one percentage point of volatility, from which a coin is {}",
)
BOOK_WARN_RATE = _breaker.rate(
    "BOOK_WARN_RATE", "0.8", "share of the limit that widens from which people are warned of delta and vega"
)
# From which amount in USDT an age counts: one small stuck conversion widens no coin for everybody.
BREAKER_FROM_USDT = {
    cause: _breaker.amount(f"{cause.upper()}_FROM_USDT", "10000", meaning)
    for cause, meaning in (
        (
            "unknown_outcome",
            "orders of a coin in conversions of unknown outcome, below which their age is no cause",
        ),
        ("unsettled", "overdue orders of a coin, below which their age is no cause"),
    )
}
# From which age in seconds a cause widens a coin's spread, and from which it halts the coin.
BREAKER_AFTER_SECONDS = {
    cause: _breaker.pair(
        f"{cause.upper()}_WIDEN_AFTER_SECONDS",
        f"{cause.upper()}_HALT_AFTER_SECONDS",
        defaults,
        f"{meaning}, from which a coin is {{}}",
    )
    for cause, defaults, meaning in (
        ("quotes_stale", ("4", "8"), "age of its quotes"),
        ("venue_halted", ("0", "30"), "how long the venue's market is halted"),
        ("unknown_outcome", ("60", "300"), "age of an order whose outcome is unknown"),
        ("unsettled", ("180", "600"), "age of an unsettled order"),
        ("desk_silent", ("15", "60"), "how long the desk is silent"),
        ("index_leap", ("0", "0"), "how long a leap of the index is not confirmed"),
    )
}
REOPEN_BELOW_RATE = Decimal("0.8")  # of a limit: less than this has to be left of a cause
REOPEN_AFTER_SECONDS = _breaker.seconds(
    "REOPEN_AFTER_SECONDS", "10", "how long a cause has to be gone before a coin gets better by one step"
)
