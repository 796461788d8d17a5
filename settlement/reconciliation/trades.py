"""The desk's fills held against the venue's trades, one by one, in both directions (part of invariant 5)."""

import re
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, NamedTuple

from django.conf import settings

from infra.db.snapshots import Snapshot
from settlement.book.chart import USDT, VENUE
from settlement.funds import venue_account
from settlement.models import Conversion
from settlement.reconciliation.findings import Finding, Result, Trace
from settlement.reconciliation.venue_view import VenueView
from settlement.venues.protocol import Trade, Venue

LOOKUPS = 20  # order ids that the venue is asked about in one comparison
NOBODYS = "trade belongs to no conversion"
NOT_BOOKED = "trade was not booked"
DIFFERS = "trade differs from its fill"
NOT_AT_VENUE = "fill is not among the venue's trades"
# States of conversions of which the venue may be executing something right now.
MAY_EXECUTE = {"PLANNED", "SUBMITTED", "UNKNOWN", "MANUAL"}

# A number of a detail, no part of a name.
NUMBER = re.compile(r"(?<![\w.-])\d+(?:\.\d+)?(?:E[+-]?\d+)?(?![\w.])")

LAST_BEFORE = """
    SELECT max(id) FROM (
        SELECT id FROM settlement_conversion WHERE planned_at < %s ORDER BY id DESC LIMIT 1
    ) AS last
"""
CONVERSION_COLUMNS = ("id", "underlying", "side", "state", "client_order_id", "venue_order_id")
CONVERSIONS = f"""
    SELECT {", ".join(CONVERSION_COLUMNS)} FROM settlement_conversion
    WHERE (planned_at >= %s AND id > %s) OR state NOT IN ('BOOKED', 'MISSED', 'RELEASED')
"""  # noqa: S608 - columns of our own
FILLS = """
    SELECT f.symbol, f.venue_trade_id, c.venue_order_id, f.price, f.coin, f.usdt, f.fee, f.fee_asset, f.traded_at,
           c.state, c.id
    FROM settlement_fill AS f JOIN settlement_conversion AS c ON c.id = f.conversion_id
    WHERE f.traded_at >= %s AND f.conversion_id > %s
"""
# Trades that two people have booked to suspense belong to no conversion, and are in the book all the same.
WRITTEN_OFF = """
    SELECT symbol, venue_trade_id FROM settlement_reconciliationbreak
    WHERE written_off_at IS NOT NULL AND venue_trade_id <> '' AND since >= %s
"""
# What two people have accepted as it is: of these figures, not of any that come later.
ACCEPTED = """
    SELECT what, "where", detail FROM settlement_reconciliationbreak
    WHERE accepted_at IS NOT NULL AND since >= %s
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
    conversion_id: int


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
    written_off: set[tuple[str, str]]
    accepted: set[tuple[str, str, str]]
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
    """A trade whose legs are not in the desk's snapshot."""

    coin: str
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
        return self.asked[key] if key in self.asked else self._open_of(coin)

    def _open_of(self, coin: str) -> ConversionRow | None:
        """A conversion that a trade whose order was not asked about may be of: then it is not called nobody's."""
        rows = self.desk.by_client_id.values()
        return next((row for row in rows if row.underlying == coin and row.state in MAY_EXECUTE), None)

    def _by_client_id(self, client_id: str | None) -> ConversionRow | None:
        if client_id in self.desk.by_client_id:
            return self.desk.by_client_id[client_id]
        # Planned after the snapshot, or long before what was read of it.
        row = Conversion.objects.filter(client_order_id=client_id).values_list(*CONVERSION_COLUMNS).first()
        return ConversionRow(*row) if row else None


def last_conversion_before(desk: Snapshot, moment: datetime) -> int:
    """The id of the last conversion planned before a moment, 0 for none; read from the newest back."""
    return desk.row(LAST_BEFORE, [moment])[0] or 0


def read_trades(
    desk: Snapshot, *, since: datetime, now: datetime, tolerance: timedelta, after_conversion: int = 0
) -> DeskTrades:
    """The desk's side of all trades since a moment, from its snapshot; of the account that the books are of now.

    Closed conversions up to `after_conversion` are not read: none of their trades may be that young.
    """
    since = max([since, *filter(None, [venue_account.changed_at()])])
    conversions = [
        ConversionRow(*row) for row in desk.rows(CONVERSIONS, [since - tolerance, after_conversion])
    ]
    lowest = min([after_conversion + 1, *(row.id for row in conversions)]) - 1
    return DeskTrades(
        at=desk.at,
        now=now,
        since=since,
        tolerance=tolerance,
        fills={
            (symbol, trade_id): FillRow(Content(*content), traded_at, state, conversion_id)
            for symbol, trade_id, *content, traded_at, state, conversion_id in desk.rows(
                FILLS, [since, lowest]
            )
        },
        written_off={(symbol, trade_id) for symbol, trade_id in desk.rows(WRITTEN_OFF, [since])},
        accepted={(what, where, detail) for what, where, detail in desk.rows(ACCEPTED, [since])},
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
            if (symbol, trade.venue_trade_id) in desk.written_off:
                continue
            fill = desk.fills.get((symbol, trade.venue_trade_id))
            if fill is None:
                conversion = origins.conversion_of(coin, trade.venue_order_id)
                _judge_unknown(symbol, trade, conversion, desk, result)
            else:
                _judge_known(symbol, trade, fill, desk, result)
            if fill is None or fill.conversion_state != Conversion.State.BOOKED:
                unbooked.append(Unbooked(coin, trade))
    _judge_missing(desk, view, result)
    return unbooked


def difference_of(booked: Content, at_venue: Content) -> str:
    """How a fill that differs from its trade is told."""
    return f"booked {booked}; at the venue {at_venue}"


def figures_of(detail: str) -> str:
    """A detail with each number in one form: the same figures, however many zeros they were told with."""
    return NUMBER.sub(lambda found: f"{Decimal(found[0]).normalize():f}", detail)


def content_of(trade: Trade) -> Content:
    """What of a trade is held against its fill."""
    return Content(trade.venue_order_id, trade.price, trade.coin, trade.usdt, trade.fee, trade.fee_asset)


def effect_of(coin: str, trade: Trade) -> tuple[tuple[str, str, Decimal], ...]:
    """What a trade did to the trading wallet: (account, asset, amount)."""
    sign = 1 if trade.side == "buy" else -1
    moved = ((coin, sign * trade.coin), (USDT, -sign * trade.usdt), (trade.fee_asset, -trade.fee))
    return tuple((VENUE, asset, amount) for asset, amount in moved if amount)


def _trade_trace(symbol: str, trade: Trade, *, conversion_id: int | None = None) -> Trace:
    coin = symbol.partition("/")[0]
    return Trace(
        asset=coin,
        amount=trade.coin if trade.side == "buy" else -trade.coin,
        conversion_id=conversion_id,
        symbol=symbol,
        venue_trade_id=trade.venue_trade_id,
        account=VENUE,
        since=trade.traded_at,
        effect=effect_of(coin, trade),
    )


def _fill_trace(symbol: str, trade_id: str, fill: FillRow) -> Trace:
    return Trace(
        conversion_id=fill.conversion_id, symbol=symbol, venue_trade_id=trade_id, since=fill.traded_at
    )


def _where(symbol: str, trade_id: str) -> str:
    return f"venue trade {trade_id} {symbol}"


def _judge_known(symbol: str, trade: Trade, fill: FillRow, desk: DeskTrades, result: Result) -> None:
    if fill.content != content_of(trade):
        detail = difference_of(fill.content, content_of(trade))
        where = _where(symbol, trade.venue_trade_id)
        _add_unless_accepted(
            DIFFERS, where, detail, _fill_trace(symbol, trade.venue_trade_id, fill), desk, result
        )


def _add_unless_accepted(
    what: str, where: str, detail: str, trace: Trace, desk: DeskTrades, result: Result
) -> None:
    if (what, where, detail) not in desk.accepted:
        result.broken.add(Finding(what, where, detail, trace=trace))


def _judge_unknown(
    symbol: str, trade: Trade, conversion: ConversionRow | None, desk: DeskTrades, result: Result
) -> None:
    where, content = _where(symbol, trade.venue_trade_id), content_of(trade)
    if desk.is_recent(trade.traded_at) or (conversion is not None and conversion.state in MAY_EXECUTE):
        of = f"conversion {conversion.id} {conversion.state}" if conversion else "of a moment ago"
        age_s = desk.age_s(trade.traded_at)
        result.in_flight.add(Finding("trade is not stored yet", where, f"{of}: {content}", age_s))
    elif conversion is None:
        trace = _trade_trace(symbol, trade)
        result.broken.add(Finding(NOBODYS, where, f"{trade.side} {content}", trace=trace))
    else:
        trace = _trade_trace(symbol, trade, conversion_id=conversion.id)
        detail = f"conversion {conversion.id} is {conversion.state} without it: {trade.side} {content}"
        result.broken.add(Finding(NOT_BOOKED, where, detail, trace=trace))


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
            trace = _fill_trace(symbol, trade_id, fill)
            _add_unless_accepted(NOT_AT_VENUE, where, str(fill.content), trace, desk, result)
