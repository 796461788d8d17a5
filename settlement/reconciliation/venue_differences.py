"""How the desk's fills stand against the venue's statement of a day: sums, and each difference with who explained it.

Only of coins of which the venue has told the day: of the others nobody knows. Differences are counted by the database,
and as many are read as are shown. Reconciliation compares all the time and acts on what it finds
(`settlement.reconciliation.trades`); this says how one day stands, to people.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any, NamedTuple

from django.conf import settings

from infra.db.ids_by_time import begin_id, end_id
from infra.db.rows import rows_of
from settlement.models import VenueStatement
from settlement.reconciliation.trades import (
    DIFFERS,
    NOBODYS,
    NOT_AT_VENUE,
    NOT_BOOKED,
    Content,
    difference_of,
    effect_of,
    figures_of,
)
from settlement.reconciliation.venue_statement import FIELDS, span_of
from settlement.venues.protocol import Trade

LINES_SHOWN = 1000
WORDS = {"venue_order_id": "order", "fee_asset": "fee in", "traded_at": "time"}
NOT_ASKED = "not asked"
# A conversion may be executed long after it was planned, and after a restore it has a new id.
MARGIN = timedelta(days=7)
PLANNED = "settlement_conversion", "planned_at"
COIN_OF = "split_part({}.symbol, '/', 1)"
# Ours are the fills of the day, and those of any time that the venue tells a trade of the day by.
BOTH = f"""
    WITH theirs AS MATERIALIZED (
        SELECT symbol, venue_trade_id, venue_order_id, side, price, coin, usdt, fee, fee_asset, traded_at
        FROM settlement_venuetrade AS v
        WHERE traded_at >= %(begins)s AND traded_at < %(ends)s AND {COIN_OF.format("v")} = ANY(%(told)s::varchar[])
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
        WHERE {COIN_OF.format("f")} = ANY(%(told)s::varchar[])
    )
"""  # noqa: S608 - composed of our own
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
# All differences; those that two people have booked by hand are explained by it.
DIFFERENCES = f"""{BOTH}, lines AS (
        SELECT coalesce(t.symbol, o.symbol) AS symbol, coalesce(t.venue_trade_id, o.venue_trade_id) AS venue_trade_id,
               t.symbol IS NOT NULL AS at_venue, o.symbol IS NOT NULL AS booked,
               CASE WHEN t.symbol IS NULL THEN o.intervention_id END AS by_hand,
               {", ".join(f"t.{name} AS their_{name}, o.{name} AS our_{name}" for name in FIELDS)},
               coalesce(t.traded_at, o.traded_at) AS at
        FROM theirs AS t FULL JOIN ours AS o ON o.symbol = t.symbol AND o.venue_trade_id = t.venue_trade_id
        WHERE t.symbol IS NULL OR o.symbol IS NULL OR {_DIFFER}
    )
"""  # noqa: S608
COUNTS = f"""{DIFFERENCES}
    SELECT {COIN_OF.format("lines")}, count(*), count(by_hand) FROM lines GROUP BY 1
"""  # noqa: S608
COLUMNS = ", ".join(
    (
        *("symbol", "venue_trade_id", "at_venue", "booked", "by_hand"),
        *(f"their_{name}" for name in FIELDS),
        *(f"our_{name}" for name in FIELDS),
    )
)
LINES = f"""{DIFFERENCES}
    SELECT {COLUMNS} FROM lines ORDER BY at, symbol, venue_trade_id LIMIT %(shown)s
"""  # noqa: S608
# The differences of whose trade two people have said something, and what, unless something else of it is open: few.
DECIDED = f"""{DIFFERENCES}
    SELECT {COLUMNS}, b.id, b.what, b.detail, b.effect, b.written_off_at IS NOT NULL
    FROM lines JOIN settlement_reconciliationbreak AS b USING (symbol, venue_trade_id)
    WHERE by_hand IS NULL AND b.what = ANY(%(kinds)s::varchar[])
        AND (b.written_off_at IS NOT NULL OR b.accepted_at IS NOT NULL)
        AND NOT EXISTS (
            SELECT FROM settlement_reconciliationbreak AS other
            WHERE other.symbol = b.symbol AND other.venue_trade_id = b.venue_trade_id
                AND other.what = ANY(%(kinds)s::varchar[]) AND other.state <> 'CLOSED'
                AND other.written_off_at IS NULL AND other.accepted_at IS NULL
        )
    ORDER BY b.id
"""  # noqa: S608
# Coins of fills of the day, also of those that are no longer traded.
BOOKED = f"""
    SELECT DISTINCT {COIN_OF.format("f")} FROM settlement_fill AS f
    WHERE conversion_id >= %(first)s AND conversion_id < %(end)s
        AND traded_at >= %(begins)s AND traded_at < %(ends)s
    ORDER BY 1
"""  # noqa: S608


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
class Compared:
    """A day as the venue tells it, beside the desk's fills; of the differences the first LINES_SHOWN."""

    told: Sequence[Told]
    sums: Sequence[Sum]
    lines: Sequence[Line]


def read(day: date) -> Compared:
    """How the day stands, by what the venue has told. Raises: DatabaseError."""
    begins, ends = span_of(day)
    statements = {each.underlying: each for each in VenueStatement.objects.filter(day=day)}
    asked = {
        "begins": begins,
        "ends": ends,
        "first": begin_id(*PLANNED, begins - MARGIN, using="desk"),
        "end": end_id(*PLANNED, ends + MARGIN, using="desk"),
        "told": [coin for coin, each in statements.items() if each.outcome == VenueStatement.Outcome.TOLD],
        "shown": LINES_SHOWN,
        "kinds": [NOBODYS, NOT_BOOKED, DIFFERS, NOT_AT_VENUE],
    }
    sums = [
        Sum(_coin(symbol), what, f"{theirs:f}", f"{ours:f}")
        for symbol, what, theirs, ours in rows_of("desk", SUMS, asked)
    ]
    counts = {coin: (count, by_hand) for coin, count, by_hand in rows_of("desk", COUNTS, asked)}
    decided = dict(_decided(rows_of("desk", DECIDED, asked))) if counts else {}
    lines = [_line(_Difference.of(row), decided) for row in rows_of("desk", LINES, asked)] if counts else []
    booked = [coin for (coin,) in rows_of("desk", BOOKED, asked)]
    return Compared(
        [
            _told(coin, statements.get(coin), *counts.get(coin, (0, 0)), decided)
            for coin in dict.fromkeys([*settings.COINS, *sorted(statements), *booked, *sorted(counts)])
        ],
        sums,
        lines,
    )


class _Difference(NamedTuple):
    """A row of COLUMNS; of the side that has no such trade the values are None."""

    symbol: str
    venue_trade_id: str
    at_venue: bool
    booked: bool
    by_hand: int | None
    theirs: dict[str, Any]
    ours: dict[str, Any]

    @classmethod
    def of(cls, row: Sequence[Any]) -> "_Difference":
        """From a row that begins with COLUMNS."""
        symbol, trade_id, at_venue, booked, by_hand, *values = row
        theirs, ours = values[: len(FIELDS)], values[len(FIELDS) : 2 * len(FIELDS)]
        return cls(
            symbol,
            trade_id,
            at_venue,
            booked,
            by_hand,
            dict(zip(FIELDS, theirs, strict=True)),
            dict(zip(FIELDS, ours, strict=True)),
        )

    @property
    def key(self) -> tuple[str, str]:
        """Its trade."""
        return self.symbol, self.venue_trade_id

    @property
    def differing(self) -> list[str]:
        """The fields that differ; all of a trade that one side lacks."""
        whole = not (self.at_venue and self.booked)
        return [name for name in FIELDS if whole or self.theirs[name] != self.ours[name]]


def _decided(rows: Sequence[Sequence[Any]]) -> Iterator[tuple[tuple[str, str], str]]:
    """By trade, what two people have said of just these figures."""
    for row in rows:
        difference = _Difference.of(row)
        pk, what, detail, effect, is_booked = row[-5:]
        if _is_of(difference, what, detail, effect):
            yield difference.key, f"{'booked' if is_booked else 'accepted'} by two people (break {pk})"


def _is_of(difference: _Difference, what: str, detail: str, effect: Any) -> bool:
    """Whether a break of reconciliation says what the difference says, in every figure."""
    if not difference.booked:
        trade = Trade(venue_trade_id=difference.venue_trade_id, **difference.theirs)
        booked = {(account, asset, Decimal(amount)) for account, asset, amount in _parsed(effect)}
        return what in (NOBODYS, NOT_BOOKED) and booked == set(effect_of(_coin(difference.symbol), trade))
    ours = _content(difference.ours)
    if not difference.at_venue:
        return what == NOT_AT_VENUE and figures_of(detail) == figures_of(str(ours))
    says = difference_of(ours, _content(difference.theirs))
    # Of the side and the time such a break says nothing.
    is_said = set(difference.differing) <= set(Content._fields)
    return what == DIFFERS and is_said and figures_of(detail) == figures_of(says)


def _parsed(effect: Any) -> Any:
    return json.loads(effect) if isinstance(effect, str) else effect


def _content(values: dict[str, Any]) -> Content:
    return Content(**{name: values[name] for name in Content._fields})


def _line(difference: _Difference, decided: dict[tuple[str, str], str]) -> Line:
    differing = difference.differing
    if not difference.booked:
        what = "not booked"
    elif not difference.at_venue:
        what = "not at the venue"
    else:
        what = f"differs: {', '.join(WORDS.get(name, name) for name in differing)}"
    explained = decided.get(difference.key, "")
    if difference.by_hand is not None:
        explained = f"booked by two people (intervention {difference.by_hand})"
    return Line(
        _coin(difference.symbol),
        difference.venue_trade_id,
        what,
        _text(difference.theirs, differing) if difference.at_venue else "",
        _text(difference.ours, differing) if difference.booked else "",
        explained,
    )


def _text(values: dict[str, Any], names: Sequence[str]) -> str:
    """The fields of these names, in words."""
    return ", ".join(f"{WORDS.get(name, name)} {_written(values[name])}" for name in names)


def _written(value: Any) -> str:
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat(sep=" ", timespec="milliseconds").removesuffix("+00:00")
    return f"{value:f}" if isinstance(value, Decimal) else str(value)


def _told(
    coin: str,
    statement: VenueStatement | None,
    differences: int,
    by_hand: int,
    decided: dict[tuple[str, str], str],
) -> Told:
    outcome, why = (NOT_ASKED, "") if statement is None else (statement.outcome, statement.why)
    explained = by_hand + sum(_coin(symbol) == coin for symbol, _ in decided)
    return Told(coin, outcome, why, differences, differences - explained)


def _coin(symbol: str) -> str:
    return symbol.partition("/")[0]
