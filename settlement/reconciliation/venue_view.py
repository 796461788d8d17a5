"""One look at the venue: trades, wallets and wallet transfers that belong to one moment, as far as it holds still.

Invariant: a view is `quiet` only if no trade and no transfer was added between before its balances were read and after,
so that balances are exactly what those trades and transfers made them.
"""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from django.conf import settings

from infra.coordination import clock
from settlement.funds import venue_account
from settlement.venues.protocol import Trade, TransferReport, Venue, Wallet

QUIET_TRIES = 5
WALLETS: tuple[Wallet, ...] = ("trading", "reserve")


@dataclass(slots=True)
class VenueView:
    """Trades by coin and id, transfers by id, and totals by wallet and asset."""

    trades: dict[str, dict[str, Trade]]
    transfers: dict[str, TransferReport]
    balances: dict[tuple[Wallet, str], Decimal]
    quiet: bool


def look(venue: Venue, *, trades_since: datetime, transfers_since: datetime) -> VenueView:
    """Read all trades since a moment once, then balances until nothing is added meanwhile (QUIET_TRIES at most).

    Transfers are read of the assets that the treasury moves.

    Raises: VenueError; OtherAccount when it is not the account of the books.
    """
    venue_account.require(venue, now=clock.of("desk").now())
    trades = {
        coin: {trade.venue_trade_id: trade for trade in venue.trades(underlying=coin, since=trades_since)}
        for coin in settings.COINS
    }
    transfers = _transfers(venue, transfers_since)
    for _ in range(QUIET_TRIES):
        balances = {
            (wallet, asset): amount for wallet in WALLETS for asset, amount in venue.balances(wallet).items()
        }
        later = _transfers(venue, transfers_since)
        added = sum(_add_new(venue, coin, known, trades_since) for coin, known in trades.items())
        quiet = not added and later.keys() == transfers.keys()
        transfers = later
        if quiet:
            break
    return VenueView(trades, transfers, balances, quiet)


def _transfers(venue: Venue, since: datetime) -> dict[str, TransferReport]:
    return {
        report.venue_transfer_id: report
        for asset in settings.WALLET_BANDS
        for report in venue.transfers(asset=asset, since=since)
        if report.done and report.at >= since
    }


def _add_new(venue: Venue, coin: str, known: dict[str, Trade], since: datetime) -> int:
    """Add what was traded since the last trade that is known; how many trades that is."""
    last = max((trade.traded_at for trade in known.values()), default=since)
    fresh = [
        trade for trade in venue.trades(underlying=coin, since=last) if trade.venue_trade_id not in known
    ]
    known.update((trade.venue_trade_id, trade) for trade in fresh)
    return len(fresh)
