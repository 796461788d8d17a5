"""The desk's fills held against the venue's trades, one by one, in both directions (part of invariant 5)."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from django.conf import settings

from audit.findings import Finding, Result
from audit.reading import Reading
from audit.venue_view import VenueView
from settlement.models import Conversion
from settlement.venues.protocol import Trade, Venue

LOOKUPS = 20  # order ids that the venue is asked about in one audit
# States of conversions of which the venue may be executing something right now.
MAY_EXECUTE = {"PLANNED", "SUBMITTED", "UNKNOWN", "MANUAL"}

FIRST_CONVERSION = "SELECT min(planned_at) FROM settlement_conversion"
CONVERSION_COLUMNS = ("id", "underlying", "side", "state", "client_order_id", "venue_order_id")
CONVERSIONS = f"""
    SELECT {", ".join(CONVERSION_COLUMNS)} FROM settlement_conversion
    WHERE planned_at >= %s OR state NOT IN ('BOOKED', 'MISSED', 'RELEASED')
"""  # noqa: S608 - columns of our own
FILLS = """
    SELECT f.symbol, f.venue_trade_id, c.venue_order_id, f.price, f.coin, f.usdt, f.fee, f.fee_asset, f.traded_at,
           c.state
    FROM settlement_fill AS f JOIN settlement_conversion AS c ON c.id = f.conversion_id WHERE f.traded_at >= %s
"""


class Content(NamedTuple):
    """What a fill and its trade have to agree on."""

    venue_order_id: str
    price: Any
    coin: Any
    usdt: Any
    fee: Any
    fee_asset: str

    def __str__(self) -> str:
        return (
            f"{self.coin} at {self.price} for {self.usdt} USDT, fee {self.fee} {self.fee_asset}, "
            f"order {self.venue_order_id}"
        )


class FillRow(NamedTuple):
    """A fill of the desk; its legs are in the book once the conversion is BOOKED."""

    content: Content
    traded_at: datetime
    conversion_state: str


class ConversionRow(NamedTuple):
    """A conversion, as in the desk's snapshot where it has it."""

    id: int
    underlying: str
    side: str
    state: str
    client_order_id: str
    venue_order_id: str


@dataclass(slots=True)
class DeskTrades:
    """What the desk's snapshot, taken `at` a moment, says of the trades `since` another."""

    at: datetime
    now: datetime
    since: datetime
    tolerance: timedelta
    fills: dict[tuple[str, str], FillRow]
    by_venue_id: dict[tuple[str, str], ConversionRow]
    by_client_id: dict[str, ConversionRow]

    def is_recent(self, moment: datetime) -> bool:
        """Whether it may be younger than the snapshot, though the clocks differ."""
        return moment >= self.at - self.tolerance

    def age_s(self, moment: datetime) -> float:
        """Seconds from then to now, never negative."""
        return max(0.0, (self.now - moment).total_seconds())


@dataclass(slots=True)
class Unbooked:
    """A trade whose legs are not in the desk's snapshot; `side` is blank when nobody knows it."""

    coin: str
    side: str
    trade: Trade


@dataclass(slots=True)
class Origins:
    """Finds whose order a trade is of, asking the venue for the client id where the desk does not know the order."""

    desk: DeskTrades
    venue: Venue
    asked: dict[tuple[str, str], ConversionRow | None] = field(default_factory=dict)

    def conversion_of(self, coin: str, venue_order_id: str) -> ConversionRow | None:
        """The conversion of an order, if it has one. Raises: VenueError."""
        key = coin, venue_order_id
        if key in self.desk.by_venue_id:
            return self.desk.by_venue_id[key]
        if key not in self.asked and len(self.asked) < LOOKUPS:
            client_id = self.venue.client_order_id(underlying=coin, venue_order_id=venue_order_id)
            self.asked[key] = self._by_client_id(client_id)
        return self.asked.get(key)

    def _by_client_id(self, client_id: str | None) -> ConversionRow | None:
        if client_id in self.desk.by_client_id:
            return self.desk.by_client_id[client_id]
        # Planned after the snapshot, or long before what was read of it.
        row = Conversion.objects.filter(client_order_id=client_id).values_list(*CONVERSION_COLUMNS).first()
        return ConversionRow(*row) if row else None


def read_trades(reading: Reading) -> DeskTrades:
    """The desk's side, from its snapshot: everything since its first conversion, at most AUDIT_VENUE_TRADES_DAYS."""
    desk, now, tolerance = reading.desk, reading.now, reading.tolerance
    (first,) = desk.row(FIRST_CONVERSION)
    since = max((first or now) - tolerance, now - timedelta(days=settings.AUDIT_VENUE_TRADES_DAYS))
    conversions = [ConversionRow(*row) for row in desk.rows(CONVERSIONS, [since - tolerance])]
    return DeskTrades(
        at=desk.at,
        now=now,
        since=since,
        tolerance=tolerance,
        fills={
            (symbol, trade_id): FillRow(Content(*content), traded_at, state)
            for symbol, trade_id, *content, traded_at, state in desk.rows(FILLS, [since])
        },
        by_venue_id={(row.underlying, row.venue_order_id): row for row in conversions if row.venue_order_id},
        by_client_id={row.client_order_id: row for row in conversions},
    )


def compare_trades(desk: DeskTrades, view: VenueView, venue: Venue, result: Result) -> list[Unbooked]:
    """Hold every trade against its fill and every fill against its trade; the trades that are not booked yet.

    Raises: VenueError.
    """
    origins = Origins(desk, venue)
    unbooked = []
    for coin, trades in view.trades.items():
        symbol = settings.COINS[coin]
        for trade in trades.values():
            result.checked += 1
            fill = desk.fills.get((symbol, trade.venue_trade_id))
            conversion = None
            if fill is None:
                conversion = origins.conversion_of(coin, trade.venue_order_id)
                _judge_unknown(symbol, trade, conversion, desk, result)
            else:
                _judge_known(symbol, trade, fill, result)
            if fill is None or fill.conversion_state != Conversion.State.BOOKED:
                conversion = conversion or desk.by_venue_id.get((coin, trade.venue_order_id))
                unbooked.append(Unbooked(coin, conversion.side if conversion else "", trade))
    _judge_missing(desk, view, result)
    return unbooked


def _content(trade: Trade) -> Content:
    return Content(trade.venue_order_id, trade.price, trade.coin, trade.usdt, trade.fee, trade.fee_asset)


def _where(symbol: str, trade_id: str) -> str:
    return f"venue trade {trade_id} {symbol}"


def _judge_known(symbol: str, trade: Trade, fill: FillRow, result: Result) -> None:
    if fill.content != _content(trade):
        detail = f"booked {fill.content}; at the venue {_content(trade)}"
        result.broken.add(
            Finding("trade differs from its fill", _where(symbol, trade.venue_trade_id), detail)
        )


def _judge_unknown(
    symbol: str, trade: Trade, conversion: ConversionRow | None, desk: DeskTrades, result: Result
) -> None:
    where, content = _where(symbol, trade.venue_trade_id), _content(trade)
    if desk.is_recent(trade.traded_at) or (conversion is not None and conversion.state in MAY_EXECUTE):
        of = f"conversion {conversion.id} {conversion.state}" if conversion else "of a moment ago"
        age_s = desk.age_s(trade.traded_at)
        result.in_flight.add(Finding("trade is not stored yet", where, f"{of}: {content}", age_s))
    elif conversion is None:
        result.broken.add(Finding("trade belongs to no conversion", where, str(content)))
    else:
        detail = f"conversion {conversion.id} is {conversion.state} without it: {content}"
        result.broken.add(Finding("trade was not booked", where, detail))


def _judge_missing(desk: DeskTrades, view: VenueView, result: Result) -> None:
    shown = {(settings.COINS[coin], trade_id) for coin, trades in view.trades.items() for trade_id in trades}
    for (symbol, trade_id), fill in desk.fills.items():
        if (symbol, trade_id) in shown:
            continue
        where = _where(symbol, trade_id)
        if desk.is_recent(fill.traded_at):
            age_s = desk.age_s(fill.traded_at)
            result.in_flight.add(
                Finding("fill is not shown by the venue yet", where, str(fill.content), age_s)
            )
        else:
            result.broken.add(Finding("fill is not among the venue's trades", where, str(fill.content)))
