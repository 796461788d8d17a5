"""What customers are quoted: spread, quotes, index and expiry.

docs/decisions/price-index.md and docs/decisions/expiry.md say why these.
"""

from decimal import Decimal

from config.environment import Subject

_prices = Subject("Prices")

SPREAD_RATE = _prices.rate("SPREAD_RATE", "0.005", "Crossbook's share of an order's fair value")
# What an order's size is charged, in a coin that has depths (set in the admin): docs/decisions/size.md.
IMPACT_DELTA_RATE = _prices.rate(
    "IMPACT_DELTA_RATE",
    "0.001",
    "what one USDT of delta costs while a coin's book has as much delta as its depth "
    "([by size](decisions/size.md))",
)
IMPACT_VEGA_POINTS = _prices.amount(
    "IMPACT_VEGA_POINTS",
    "0.5",
    "the same for vega: percentage points of volatility",
    unit="points",
)
IMPACT_PREMIUM_RATE = _prices.rate(
    "IMPACT_PREMIUM_RATE",
    "0.001",
    "the same for premiums not yet converted: what one USDT of premium costs",
)
IMPACT_MOST_RATE = _prices.rate(
    "IMPACT_MOST_RATE",
    "0.05",
    "the largest share of a contract's worth that each of the three charges may take",
    below=Decimal("0.33"),  # or a close would bring nothing
)
QUOTE_STALE_AFTER_SECONDS = _prices.seconds(
    "QUOTE_STALE_AFTER_SECONDS", "10", "age at which a quote is refused to an open"
)
QUOTE_EVERY_SECONDS = 1.0
CLOSE_STALE_AFTER_SECONDS = _prices.seconds(
    "CLOSE_STALE_AFTER_SECONDS", "30", "age at which a quote is refused to a close"
)
PRICE_TOLERANCE_RATE = _prices.rate(
    "PRICE_TOLERANCE_RATE",
    "0.05",
    "how much worse than lately quoted an order may be that names no `max_cost`, `min_proceeds` or firm quote",
)
OPENS_END_BEFORE_EXPIRY_SECONDS = _prices.whole(
    "OPENS_END_BEFORE_EXPIRY_SECONDS",
    "60",
    "how long before its expiry an option takes no opens any more",
    unit="seconds",
)
# What a customer may have of them at once, by number and by their USDT: each is an option on the price, for nothing.
FIRM_QUOTE_SECONDS = _prices.seconds("FIRM_QUOTE_SECONDS", "5", "how long a firm quote holds")
FIRM_QUOTES_LIVE = _prices.whole("FIRM_QUOTES_LIVE", "20", "firm quotes that a customer may have at once")
FIRM_QUOTES_LIVE_USDT = _prices.amount(
    "FIRM_QUOTES_LIVE_USDT", "250000", "value of the firm quotes that a customer may have at once"
)

# Exchanges whose books count beside the venue's own: ccxt ids, each with a host of its own if wanted.
INDEX_SOURCES = _prices.named_addresses(
    "INDEX_SOURCES",
    "exchanges whose books count beside the venue's own: ccxt ids; public data only ([why](decisions/price-index.md))",
)
INDEX_TIMEOUT_SECONDS = 2.0  # of a question to a source
INDEX_WAIT_SECONDS = 0.5  # by which sources hold up a tick; what comes later counts with the next one
BOOK_MOST_SPREAD_RATE = _prices.rate(
    "BOOK_MOST_SPREAD_RATE",
    "0.01",
    "widest spread of a book that counts, and of the one that the desk trades at",
)
INDEX_MOST_AGE_SECONDS = _prices.seconds(
    "INDEX_MOST_AGE_SECONDS", "3", "greatest age of a book that counts", least=0.1
)
INDEX_MOST_APART_RATE = _prices.rate(
    "INDEX_MOST_APART_RATE", "0.005", "greatest distance of a book that counts from the median of all"
)
INDEX_LEAP_PER_SECOND_RATE = _prices.rate(
    "INDEX_LEAP_PER_SECOND_RATE",
    "0.01",
    "movement of the index from one second to the next from which on it leaps",
    least=Decimal("0.0001"),
)
INDEX_LEAP_WINDOW_RATE = _prices.rate(
    "INDEX_LEAP_WINDOW_RATE",
    "0.03",
    "movement of the index from the median of its window from which on it leaps",
    least=INDEX_LEAP_PER_SECOND_RATE,
    least_name="INDEX_LEAP_PER_SECOND_RATE",
)
INDEX_WINDOW_SECONDS = _prices.seconds(
    "INDEX_WINDOW_SECONDS", "5", "window of which that median is", least=0.1
)
INDEX_CONFIRM_SECONDS = _prices.seconds(
    "INDEX_CONFIRM_SECONDS",
    "3",
    "how long a new level has to last, for each multiple of the rate a second",
    least=0.1,
)
INDEX_CONFIRM_MOST_SECONDS = _prices.seconds(
    "INDEX_CONFIRM_MOST_SECONDS", "30", "how long a new level has to last at most", least=0.1
)
INDEX_KEPT_DAYS = _prices.days(
    "INDEX_KEPT_DAYS",
    "90",
    "how long the record of the index is kept; what options were settled at is never forgotten",
)

EXPIRY_INSTANT_PAYOUT_USDT = _prices.amount(
    "EXPIRY_INSTANT_PAYOUT_USDT",
    "1000000",
    "paid at once when options of one moment are exercised, all coins together; what does not fit is paid at fill",
)
EXPIRY_GRACE_SECONDS = (
    10.0  # longer than the feed takes to read a price and store it under the time it began at
)
SETTLEMENT_INDEX_LEAST_MINUTES = 27  # of the 30 before the expiry, those in which the index was recorded
SETTLEMENT_INDEX_MOST_GAP_SECONDS = 120.0
