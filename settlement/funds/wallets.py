"""The venue's wallets as witnesses of an order or transfer that the venue says it does not know.

What the venue holds has to be what the desk's book says, with the venue's own trades that are not booked yet. What is
left over speaks against a miss if it is what the order or the transfer in doubt would have left.
"""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from django.db import connections
from django.db.models import Min

from ledger.decimals import calculating
from settlement.book.chart import INVENTORY, VENUE
from settlement.models import Conversion, FundsTransfer
from settlement.venues import venue_clock
from settlement.venues.protocol import Trade, Venue

QUIET_TRIES = 3
MAY_BE_UNBOOKED = (Conversion.State.SUBMITTED, Conversion.State.UNKNOWN, Conversion.State.FILLED)

BALANCE = """
    SELECT COALESCE(sum(CASE t.debit_account_id WHEN a.id THEN t.amount ELSE -t.amount END), 0)
    FROM settlement_deskaccount AS a
    JOIN settlement_desktransfer AS t ON a.id IN (t.debit_account_id, t.credit_account_id)
    WHERE a.code = %s AND a.asset = %s
"""
TRADE_IDS = """
    SELECT f.venue_trade_id FROM settlement_fill AS f JOIN settlement_conversion AS c ON c.id = f.conversion_id
    WHERE c.underlying = %s AND c.state = 'BOOKED' AND f.traded_at >= %s
"""


@dataclass(frozen=True, slots=True)
class Booked:
    """What the book says of one coin at one moment, and the trades since another that are in it."""

    coin: Decimal
    since: datetime
    trade_ids: frozenset[str]


@calculating()
def speak_of_order(conversion: Conversion, venue: Venue) -> bool:
    """Whether the coin in the trading wallet may be that of a fill of this order, or moves too much to tell.

    Raises: VenueError.
    """
    transfer = _last_transfer(conversion.underlying)
    others = _unbooked(conversion.underlying)
    # The book first: what is booked was traded before, so it is in every balance that is read afterwards.
    booked = _read_book(conversion, venue)
    quiet = _quiet_look(conversion.underlying, venue, booked.since)
    # Funds that are, or were meanwhile, under way would hide what the order left.
    is_moving = transfer[1] in FundsTransfer.OPEN_STATES or transfer != _last_transfer(conversion.underlying)
    if quiet is None or is_moving:
        return True
    balance, trades = quiet
    unbooked = (trade for trade in trades if trade.venue_trade_id not in booked.trade_ids)
    expected = booked.coin + sum((_effect(trade, conversion.underlying) for trade in unbooked), Decimal(0))
    # Those that were sent or booked meanwhile may be in the balance, and in nothing that was read beside it.
    others |= _unbooked(conversion.underlying)
    others.pop(conversion.pk, None)
    return _may_have_left(conversion, balance - expected, list(others.values()))


def _may_have_left(conversion: Conversion, left_over: Decimal, others: list[tuple[str, Decimal]]) -> bool:
    """Whether a fill of this order may be part of what is left over, with those of other sides and quantities.

    Nothing left over is no sign: it takes fills of two sides that are equal to the last digit, which leave no coin to
    be hedged.
    """
    same = sum((quantity for side, quantity in others if side == conversion.side), Decimal(0))
    other_way = sum((quantity for side, quantity in others if side != conversion.side), Decimal(0))
    sign = 1 if conversion.side == Conversion.Side.BUY else -1
    return bool(left_over) and -other_way < sign * left_over <= conversion.quantity + same


def _unbooked(coin: str) -> dict[int, tuple[str, Decimal]]:
    """Side and quantity of the coin's orders that may have been executed and are not in the book, a person's too."""
    rows = Conversion.objects.filter(
        underlying=coin, state__in=(*MAY_BE_UNBOOKED, Conversion.State.MANUAL), submitted_at__isnull=False
    ).values_list("pk", "side", "quantity")
    return {pk: (side, quantity) for pk, side, quantity in rows}


def speak_of_transfer(transfer: FundsTransfer, venue: Venue) -> bool:
    """Whether the reserve wallet shows this transfer as done. No order touches that wallet, and no other transfer of
    the asset is open, so it shows this one or none.

    Raises: VenueError.
    """
    expected = _balance(INVENTORY, transfer.asset)
    balance = venue.balances("reserve").get(transfer.asset, Decimal(0))
    incoming = transfer.direction == FundsTransfer.Direction.TO_TRADING
    return balance - expected == (-transfer.amount if incoming else transfer.amount)


def _last_transfer(asset: str) -> tuple[int, str]:
    """Id and state of the asset's last transfer; one that is open is the last there is."""
    last = FundsTransfer.objects.filter(asset=asset).order_by("-id").values_list("id", "state").first()
    return last or (0, "")


def _read_book(conversion: Conversion, venue: Venue) -> Booked:
    coin = conversion.underlying
    may_be_unbooked = Conversion.objects.filter(
        underlying=coin, state__in=MAY_BE_UNBOOKED, submitted_at__isnull=False
    )
    first = may_be_unbooked.aggregate(first=Min("submitted_at"))["first"] or conversion.submitted_at
    assert first is not None  # noqa: S101 - it was sent, or it would not be in doubt
    since = venue_clock.earliest(first, venue)
    with connections["desk"].cursor() as cursor:
        # One statement, so that balance and trades are of one moment.
        cursor.execute(f"SELECT ({BALANCE}), ARRAY({TRADE_IDS})", [VENUE, coin, coin, since])
        balance, trade_ids = cursor.fetchone()
    return Booked(balance, since, frozenset(trade_ids))


def _balance(code: str, asset: str) -> Decimal:
    with connections["desk"].cursor() as cursor:
        cursor.execute(BALANCE, [code, asset])
        return cursor.fetchone()[0]


def _quiet_look(coin: str, venue: Venue, since: datetime) -> tuple[Decimal, list[Trade]] | None:
    """The trading wallet's balance of a coin and the trades that made it; None when it did not hold still."""
    trades = venue.trades(underlying=coin, since=since)
    for _ in range(QUIET_TRIES):
        balance = venue.balances("trading").get(coin, Decimal(0))
        before, trades = trades, venue.trades(underlying=coin, since=since)
        if len(before) == len(trades):
            return balance, trades
    return None


def _effect(trade: Trade, coin: str) -> Decimal:
    """What a trade adds to the coin in the trading wallet."""
    fee = trade.fee if trade.fee_asset == coin else Decimal(0)
    return (trade.coin if trade.side == "buy" else -trade.coin) - fee
