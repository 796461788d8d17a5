"""The desk: its venue, how it converts, and what it keeps in its wallets."""

from decimal import Decimal

from config.environment import Subject

_venue = Subject("The venue")

COINS = {"BTC": "BTC/USDT", "ETH": "ETH/USDT"}

VENUE = _venue.text("VENUE", "binance", "ccxt exchange class", allowed="a name")
VENUE_URL = _venue.address("VENUE_URL", "", "host of the venue", shown="the paper venue")
VENUE_API_KEY = _venue.secret(
    "VENUE_API_KEY", "paper-key", "of the desk's account", shown="the paper venue's"
)
VENUE_API_SECRET = _venue.secret(
    "VENUE_API_SECRET", "paper-secret", "of the desk's account", shown="the paper venue's"
)
VENUE_TIMEOUT_SECONDS = 5.0
# A venue without a second wallet (Binance's spot test network) leaves nothing to rebalance.
VENUE_HAS_RESERVE = (
    _venue.choice(
        "VENUE_RESERVE", "funding", "`none` for a venue without a second wallet", of=("funding", "none")
    )
    != "none"
)
VENUE_MARKETS_EVERY_SECONDS = _venue.count(
    "VENUE_MARKETS_EVERY_SECONDS",
    "300",
    "how often filters and states of the venue's markets are read anew; a refusal by a filter has them read at once",
)
VENUE_WEIGHT_PER_MINUTE = _venue.whole(
    "VENUE_WEIGHT_PER_MINUTE",
    "0",
    "request weight a minute of this address, near which reads slow down; 0: what the venue's `exchangeInfo` says",
)
VENUE_ORDERS_PER_10S = _venue.count(
    "VENUE_ORDERS_PER_10S",
    "100",  # Binance Spot's for an ordinary account
    "orders that the venue allows in 10 s",
    shown="100; 400 with the paper venue",
)
ROUNDS_IN_FLIGHT = _venue.count(
    "ROUNDS_IN_FLIGHT",
    "2",
    "conversions of a coin under way at a time, while less than three quarters of the venue's allowance are used "
    "([why](decisions/natural-batching.md))",
)
PRICE_BAND_RATE = Decimal("0.005")
CHASE_TRIES = _venue.count(
    "CHASE_TRIES",
    "5",
    "how often an order that executed nothing is sent again at once ([why](decisions/natural-batching.md))",
)
CHASE_SECONDS = _venue.seconds(
    "CHASE_SECONDS", "1.5", "for how long an order that executed nothing is sent again at once"
)
CHASE_BAND_RATE = _venue.rate(
    "CHASE_BAND_RATE",
    "0.02",
    "how far from its first price an order that executed nothing is sent again",
    least=PRICE_BAND_RATE,
)
CONVERSION_MAX_ORDERS = 5000
CARRY_WORTH_CONVERTING_USDT = Decimal(50)
# Trading-wallet bands by asset: below `low` the treasury tops up to `target`, above `high` it sweeps down to it.
WALLET_BANDS = {
    "USDT": {"low": Decimal(500_000), "target": Decimal(2_000_000), "high": Decimal(6_000_000)},
    "BTC": {"low": Decimal(5), "target": Decimal(20), "high": Decimal(60)},
    "ETH": {"low": Decimal(100), "target": Decimal(400), "high": Decimal(1200)},
}
