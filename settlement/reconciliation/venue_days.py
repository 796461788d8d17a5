"""The venue's statement of a day: asked for, kept, and held against the desk's fills line by line.

Guards the close of a day: what the venue has told is kept by the ids of its trades, so asking again changes nothing
that the venue does not tell otherwise. No question is asked in a transaction. Reconciliation compares all the time and
acts on what it finds (`settlement.reconciliation.trades`); this says how one day stands, to people.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, NamedTuple

import structlog
from django.conf import settings
from django.db import transaction

from infra.db.ids_by_time import begin_id, end_id
from infra.db.rows import rows_of
from settlement.funds import venue_account
from settlement.models import VenueDay, VenueTrade
from settlement.reconciliation.trades import DIFFERS, NOBODYS, NOT_AT_VENUE, NOT_BOOKED
from settlement.venues.protocol import Trade, Venue, VenueError

log = structlog.get_logger(__name__)

Outcome = VenueDay.Outcome
LINES_SHOWN = 1000
STORED_TOGETHER = 2000
FIELDS = ("venue_order_id", "side", "price", "coin", "usdt", "fee", "fee_asset", "traded_at")
WORDS = {"venue_order_id": "order", "fee_asset": "fee in", "traded_at": "time"}
# A venue that refuses the question has no answer to it tomorrow either.
REFUSALS = frozenset({"BadRequest", "BadSymbol", "NotSupported", "ArgumentsRequired"})
# A conversion may be executed long after it was planned, and after a restore it has a new id.
MARGIN = timedelta(days=7)
PLANNED = "settlement_conversion", "planned_at"
# Ours are the fills of the day, and those of any time that the venue tells a trade of the day by.
BOTH = """
    WITH theirs AS MATERIALIZED (
        SELECT symbol, venue_trade_id, venue_order_id, side, price, coin, usdt, fee, fee_asset, traded_at
        FROM settlement_venuetrade WHERE traded_at >= %(begins)s AND traded_at < %(ends)s
    ), found AS MATERIALIZED (
        SELECT id FROM settlement_fill
        WHERE conversion_id >= %(first)s AND conversion_id < %(end)s
            AND traded_at >= %(begins)s AND traded_at < %(ends)s
        UNION
        SELECT f.id FROM theirs AS t JOIN settlement_fill AS f USING (symbol, venue_trade_id)
    ), ours AS MATERIALIZED (
        SELECT f.symbol, f.venue_trade_id, c.venue_order_id, c.side, f.price, f.coin, f.usdt, f.fee, f.fee_asset,
               f.traded_at, f.intervention_id
        FROM found JOIN settlement_fill AS f USING (id) JOIN settlement_conversion AS c ON c.id = f.conversion_id
    )
"""
SUMS = f"""{BOTH}
    SELECT symbol, what, sum(theirs), sum(ours) FROM (
        SELECT symbol, 'trades' AS what, 1::numeric AS theirs, 0::numeric AS ours FROM theirs
        UNION ALL SELECT symbol, 'trades', 0, 1 FROM ours
        UNION ALL SELECT symbol, side || ', coin', coin, 0 FROM theirs
        UNION ALL SELECT symbol, side || ', coin', 0, coin FROM ours
        UNION ALL SELECT symbol, side || ', USDT', usdt, 0 FROM theirs
        UNION ALL SELECT symbol, side || ', USDT', 0, usdt FROM ours
        UNION ALL SELECT symbol, 'fees in ' || fee_asset, fee, 0 FROM theirs
        UNION ALL SELECT symbol, 'fees in ' || fee_asset, 0, fee FROM ours
    ) AS parts GROUP BY symbol, what ORDER BY symbol, what
"""  # noqa: S608 - composed of our own
_DIFFER = " OR ".join(f"t.{name} IS DISTINCT FROM o.{name}" for name in FIELDS)
LINES = f"""{BOTH}
    SELECT coalesce(t.symbol, o.symbol), coalesce(t.venue_trade_id, o.venue_trade_id),
           t.symbol IS NOT NULL, o.symbol IS NOT NULL, o.intervention_id,
           {", ".join(f"t.{name}" for name in FIELDS)}, {", ".join(f"o.{name}" for name in FIELDS)}
    FROM theirs AS t FULL JOIN ours AS o ON o.symbol = t.symbol AND o.venue_trade_id = t.venue_trade_id
    WHERE t.symbol IS NULL OR o.symbol IS NULL OR {_DIFFER}
    ORDER BY coalesce(t.traded_at, o.traded_at), 1, 2
"""  # noqa: S608
# What two people have said of a trade, unless something else of it is open.
DECIDED = """
    SELECT symbol, venue_trade_id, max(CASE WHEN written_off_at IS NOT NULL THEN 'booked' ELSE 'accepted' END), max(id)
    FROM settlement_reconciliationbreak AS b
    WHERE venue_trade_id = ANY(%(ids)s::varchar[]) AND what = ANY(%(kinds)s::varchar[])
    GROUP BY symbol, venue_trade_id
    HAVING bool_and(written_off_at IS NOT NULL OR accepted_at IS NOT NULL OR state = 'CLOSED')
        AND bool_or(written_off_at IS NOT NULL OR accepted_at IS NOT NULL)
"""


class Told(NamedTuple):
    """Whether the venue has told a coin's trades of the day, why not, and how the fills stand against them."""

    coin: str
    outcome: str
    why: str
    differences: int
    unexplained: int


class Sum(NamedTuple):
    """A sum over a coin's trades of the day, at the venue and by the desk's fills; text with every digit."""

    coin: str
    what: str
    at_venue: str
    booked: str


class Line(NamedTuple):
    """One difference; `explained` is blank where nobody has decided on it."""

    coin: str
    venue_trade_id: str
    what: str
    at_venue: str
    booked: str
    explained: str


@dataclass(frozen=True, slots=True)
class VenueStatement:
    """A day as the venue tells it, beside the desk's fills; of the differences the first LINES_SHOWN."""

    told: Sequence[Told]
    sums: Sequence[Sum]
    lines: Sequence[Line]


def ask(day: date, *, venue: Venue, now: datetime) -> None:
    """Ask the venue for each coin's trades of a day, and keep what it says, or that it does not.

    What it has told before stays where it does not answer now.

    Raises: DatabaseError.
    """
    begins, ends = _span(day)
    for coin in settings.COINS:
        outcome, why, trades = _answer(coin, venue, begins, ends, now)
        _keep(day, coin, outcome, why, trades, now)


def read(day: date) -> VenueStatement:
    """How the day stands, by what the venue has told. Raises: DatabaseError."""
    begins, ends = _span(day)
    span = {
        "begins": begins,
        "ends": ends,
        "first": begin_id(*PLANNED, begins - MARGIN, using="desk"),
        "end": end_id(*PLANNED, ends + MARGIN, using="desk"),
    }
    coins = {symbol: coin for coin, symbol in settings.COINS.items()}
    sums = [
        Sum(coins.get(symbol, symbol), what, f"{theirs:f}", f"{ours:f}")
        for symbol, what, theirs, ours in rows_of("desk", SUMS, span)
    ]
    found = rows_of("desk", LINES, span)
    decided = _decided([trade_id for _, trade_id, *_ in found])
    lines = [_line(row, coins, decided) for row in found]
    days = {each.underlying: each for each in VenueDay.objects.filter(day=day)}
    told = [
        _told(coin, days.get(coin), [line for line in lines if line.coin == coin]) for coin in coins.values()
    ]
    return VenueStatement(told, sums, lines[:LINES_SHOWN])


def _answer(
    coin: str, venue: Venue, begins: datetime, ends: datetime, now: datetime
) -> tuple[Outcome, str, list[Trade]]:
    """Done, not done, or not to be done any more."""
    changed_at = venue_account.changed_at()
    if changed_at is not None and changed_at > begins:
        return Outcome.GONE, f"the books are of another account since {changed_at:%Y-%m-%d %H:%M:%S} UTC", []
    try:
        venue_account.require(venue, now=now)
        return Outcome.TOLD, "", venue.trades(underlying=coin, since=begins, until=ends)
    except VenueError as error:
        log.warning("no statement of the venue", coin=coin, day=str(begins.date()), error=str(error))
        outcome = Outcome.GONE if error.kind in REFUSALS else Outcome.SILENT
        return outcome, str(error)[:500], []


def _keep(day: date, coin: str, outcome: Outcome, why: str, trades: Sequence[Trade], now: datetime) -> None:
    begins, ends = _span(day)
    symbol = settings.COINS[coin]
    with transaction.atomic(using="desk"):
        kept = VenueDay.objects.select_for_update().filter(day=day, underlying=coin).first()
        if outcome is not Outcome.TOLD and kept is not None and kept.outcome == Outcome.TOLD:
            return
        VenueDay.objects.update_or_create(
            day=day, underlying=coin, defaults={"outcome": outcome, "why": why, "asked_at": now}
        )
        if outcome is not Outcome.TOLD:
            return
        told = {trade.venue_trade_id for trade in trades}
        of_day = VenueTrade.objects.filter(symbol=symbol, traded_at__gte=begins, traded_at__lt=ends)
        gone = [pk for pk, trade_id in of_day.values_list("pk", "venue_trade_id") if trade_id not in told]
        VenueTrade.objects.filter(pk__in=gone).delete()
        for first in range(0, len(trades), STORED_TOGETHER):
            VenueTrade.objects.bulk_create(
                [
                    VenueTrade(
                        symbol=symbol,
                        venue_trade_id=trade.venue_trade_id,
                        **{name: getattr(trade, name) for name in FIELDS},
                    )
                    for trade in trades[first : first + STORED_TOGETHER]
                ],
                update_conflicts=True,
                unique_fields=["symbol", "venue_trade_id"],
                update_fields=list(FIELDS),
            )


def _decided(trade_ids: list[str]) -> dict[tuple[str, str], str]:
    if not trade_ids:
        return {}
    asked = {"ids": trade_ids, "kinds": [NOBODYS, NOT_BOOKED, DIFFERS, NOT_AT_VENUE]}
    return {
        (symbol, trade_id): f"{how} by two people (break {pk})"
        for symbol, trade_id, how, pk in rows_of("desk", DECIDED, asked)
    }


def _line(row: Sequence[Any], coins: dict[str, str], decided: dict[tuple[str, str], str]) -> Line:
    symbol, trade_id, at_venue, booked, intervention_id, *fields = row
    theirs, ours = fields[: len(FIELDS)], fields[len(FIELDS) :]
    differing = [
        name
        for name, one, other in zip(FIELDS, theirs, ours, strict=True)
        if not (at_venue and booked) or one != other
    ]
    if not booked:
        what = "not booked"
    elif not at_venue:
        what = "not at the venue"
    else:
        what = f"differs: {', '.join(WORDS.get(name, name) for name in differing)}"
    explained = decided.get((symbol, trade_id), "")
    if not explained and booked and not at_venue and intervention_id is not None:
        explained = f"booked by two people (intervention {intervention_id})"
    return Line(
        coins.get(symbol, symbol),
        trade_id,
        what,
        _text(theirs, differing) if at_venue else "",
        _text(ours, differing) if booked else "",
        explained,
    )


def _text(values: Sequence[Any], names: Sequence[str]) -> str:
    """The fields of these names, in words."""
    given = dict(zip(FIELDS, values, strict=True))
    return ", ".join(f"{WORDS.get(name, name)} {_written(given[name])}" for name in names)


def _written(value: Any) -> str:
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat(sep=" ", timespec="milliseconds").removesuffix("+00:00")
    return f"{value:f}" if hasattr(value, "as_tuple") else str(value)


def _told(coin: str, day: VenueDay | None, lines: Sequence[Line]) -> Told:
    outcome, why = ("not asked", "") if day is None else (day.outcome, day.why)
    return Told(coin, outcome, why, len(lines), sum(not line.explained for line in lines))


def _span(day: date) -> tuple[datetime, datetime]:
    begins = datetime.combine(day, time.min, UTC)
    return begins, begins + timedelta(days=1)
