"""A ledger as CSV: written as it is read, a page at a time, and harmless in a spreadsheet."""

from collections.abc import Iterable, Iterator

from counter.api.fields import coin, usdt
from counter.money.statements import LedgerEntry
from counter.orders.exercise_names import shown_name
from counter.public_ids import Kind, public_id
from infra.csv_lines import csv_lines, text_cell

COLUMNS = (
    *("id", "time", "kind", "amount", "balance", "order_id", "client_order_id", "symbol", "spread", "fee"),
)


def csv_of(entries: Iterable[LedgerEntry]) -> Iterator[str]:
    """The lines, some hundred at once: a heading, then the entries in their order.

    Spread and fee stand once for each order, beside its main entry, so that the columns add up.
    """
    return csv_lines(COLUMNS, map(_cells, entries))


def _cells(entry: LedgerEntry) -> tuple[str, ...]:
    order = entry.order
    tells_costs = order is not None and entry.kind != "spread"
    return (
        public_id(Kind.LEDGER_ENTRY, entry.id),
        entry.created_at.isoformat(),
        text_cell(entry.kind),
        usdt(entry.amount),
        usdt(entry.balance_after),
        "" if entry.order_id is None else public_id(Kind.ORDER, entry.order_id),
        "" if order is None else text_cell(shown_name(order.client_order_id)),
        "" if order is None else text_cell(order.symbol),
        usdt(order.spread) if order is not None and tells_costs else "",
        coin(order.fee) if order is not None and tells_costs and order.fee is not None else "",
    )
