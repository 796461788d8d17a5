"""Comparing every order of counter with the desk's copy of it: checksums of buckets first, rows where they differ.

Invariant: both sides sum the same hash of the same columns, so equal content has an equal sum, in any order of the
rows; an unequal sum only leads to the rows themselves being compared, so it can raise no false alarm.
"""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple

from infra.db.snapshots import Snapshot

BUCKET_ORDERS = 10_000
BUCKETS_OPENED = (
    100  # rows of more differing buckets are not read: then it is the system that is broken, not a row
)

# (name, SQL, how it is hashed); `{...}` is filled in for each side.
Column = tuple[str, str, str]
CONTENT: tuple[Column, ...] = (
    ("order_id", "{key}", "integer"),
    ("kind", "o.kind", "text"),
    ("symbol", "o.symbol", "text"),
    ("underlying", "o.underlying", "text"),
    ("contracts", "o.contracts", "integer"),
    ("coin", "o.coin", "numeric"),
    ("index_price", "o.index_price", "numeric"),
    ("fair", "o.fair", "numeric"),
    ("payout", "o.payout", "text"),
    ("placed_at", "o.placed_at", "time"),
)
SETTLEMENT: tuple[Column, ...] = (
    ("order_id", "{key}", "integer"),
    ("conversion_id", "{conversion}", "integer"),
    ("price", "{price}", "numeric"),
    ("value", "{value}", "numeric"),
    ("fee", "{fee}", "numeric"),
    ("due", "{due}", "numeric"),
    ("settled_at", "o.settled_at", "time"),
)
# PostgreSQL's own hash functions: each takes the hash so far as its seed, and none has to write a number out as text.
HASHES = {
    "integer": "hashint8extended({value}, {seed})",
    "numeric": "hash_numeric_extended({value}, {seed})",
    "text": "hashtextextended({value}, {seed})",
    "time": "timestamp_hash_extended({value} AT TIME ZONE 'UTC', {seed})",
}
COUNTER = {
    "key": "o.id",
    "conversion": "o.conversion_id",
    "price": "o.settlement_price",
    "value": "o.settlement_value",
    "fee": "o.settlement_fee",
    "due": "o.settlement_due",
    "settled": "o.state = 'SETTLED'",
    "since": "o.placed_at",
    "tables": "counter_syncorder AS o",
    "mine": "true",
}
DESK = {
    "key": "o.order_id",
    "conversion": "a.conversion_id",
    "price": "c.price",
    "value": "a.value",
    "fee": "a.fee",
    "due": "a.due",
    "settled": "a.order_id IS NOT NULL",
    "since": "o.received_at",
    "tables": """acceptance_acceptedorder AS o LEFT JOIN settlement_allocation AS a ON a.order_id = o.id
                 LEFT JOIN settlement_conversion AS c ON c.id = a.conversion_id""",
    "mine": "o.source = %(source)s",
}


def _hash(columns: tuple[Column, ...]) -> str:
    seed = "0"
    for _, value, kind in columns:
        seed = HASHES[kind].format(value=value, seed=seed)
    return f"COALESCE({seed}, 0)"  # a NULL makes it NULL


def _text(columns: tuple[Column, ...]) -> str:
    values = [f"extract(epoch FROM {sql})" if kind == "time" else sql for _, sql, kind in columns]
    texts = ", ".join(f"COALESCE({value}::text, '?')" for value in values)
    return f"concat_ws('|', {texts})"


BUCKETS = f"""
    SELECT {{key}} / {BUCKET_ORDERS}, count(*), sum({_hash(CONTENT)}),
           count(*) FILTER (WHERE {{settled}}), COALESCE(sum({_hash(SETTLEMENT)}) FILTER (WHERE {{settled}}), 0)
    FROM {{tables}} WHERE {{mine}} GROUP BY 1
"""  # noqa: S608 - templates of our own
ROWS = f"""
    SELECT {{key}}, o.state, {{since}}, {_text(CONTENT)}, CASE WHEN {{settled}} THEN {_text(SETTLEMENT)} END
    FROM {{tables}} WHERE {{mine}} AND {{key}} >= %(first)s AND {{key}} < %(end)s
"""  # noqa: S608


class OrderRow(NamedTuple):
    """One side's order: its state, when it was placed or received, and its content and settlement as text."""

    order_id: int
    state: str
    since: datetime
    content: str
    settlement: str | None


class Difference(NamedTuple):
    """An order on which the two sides differ; None where a side has none of that id."""

    order_id: int
    counter: OrderRow | None
    desk: OrderRow | None


class Bucket(NamedTuple):
    """Checksums of the orders whose ids divided by BUCKET_ORDERS are `number`."""

    number: int
    orders: int
    content: Any
    settled: int
    settlement: Any


@dataclass(slots=True)
class OrderComparison:
    """How many orders each side holds, where they differ, ids held twice, and buckets that were not opened."""

    counter_orders: int
    desk_orders: int
    differences: list[Difference] = field(default_factory=list)
    held_twice: list[int] = field(default_factory=list)
    unopened: list[int] = field(default_factory=list)


def compare(*, counter: Snapshot, desk: Snapshot, source: str) -> OrderComparison:
    """Compare all orders of `source`: two scans of sums, then the rows of at most BUCKETS_OPENED buckets."""
    at_counter = _buckets(counter, COUNTER, source)
    at_desk = _buckets(desk, DESK, source)
    comparison = OrderComparison(
        counter_orders=sum(bucket.orders for bucket in at_counter.values()),
        desk_orders=sum(bucket.orders for bucket in at_desk.values()),
    )
    newest_first = sorted(at_counter.keys() | at_desk.keys(), reverse=True)
    differing = [number for number in newest_first if at_counter.get(number) != at_desk.get(number)]
    for number in differing[:BUCKETS_OPENED]:
        _compare_rows(_rows(counter, COUNTER, source, number), _rows(desk, DESK, source, number), comparison)
    comparison.unopened = differing[BUCKETS_OPENED:]
    return comparison


def differing_fields(columns: tuple[Column, ...], at_counter: str, at_desk: str) -> str:
    """The columns in which two texts differ, with both values."""
    names = [name for name, _, _ in columns]
    ours, theirs = at_counter.split("|"), at_desk.split("|")
    if not len(ours) == len(theirs) == len(names):
        return f"{at_counter} at counter, {at_desk} at the desk"
    pairs = zip(names, ours, theirs, strict=True)
    return "; ".join(f"{name} {one} at counter, {two} at the desk" for name, one, two in pairs if one != two)


def _buckets(side: Snapshot, columns: dict[str, str], source: str) -> dict[int, Bucket]:
    rows = side.rows(BUCKETS.format(**columns), {"source": source})
    return {row[0]: Bucket(*row) for row in rows}


def _rows(side: Snapshot, columns: dict[str, str], source: str, number: int) -> list[OrderRow]:
    first = number * BUCKET_ORDERS
    parameters = {"source": source, "first": first, "end": first + BUCKET_ORDERS}
    return [OrderRow(*row) for row in side.rows(ROWS.format(**columns), parameters)]


def _compare_rows(at_counter: list[OrderRow], at_desk: list[OrderRow], comparison: OrderComparison) -> None:
    ours = {row.order_id: row for row in at_counter}
    theirs: dict[int, OrderRow] = {}
    for row in at_desk:
        if row.order_id in theirs:
            comparison.held_twice.append(row.order_id)
        theirs[row.order_id] = row
    for order_id in sorted(ours.keys() | theirs.keys()):
        our, their = ours.get(order_id), theirs.get(order_id)
        if our is None or their is None or our[3:] != their[3:]:
            comparison.differences.append(Difference(order_id, our, their))
