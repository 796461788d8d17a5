"""The rows behind a day's close, a file each: both journals, orders, fills, transfers and cash, as CSV or Parquet.

Guards what was closed: a row is of the day in which its legs were booked, and has nothing in it that changes later. So
the journals of a closed day sum to its trial balance, and a fill that came late is in the day that booked it.
Rows are read by primary key, some thousand a statement: the memory is that of one page, however long the day is.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from django.db import router
from django.db.models import ForeignKey, Max, Min, Model, QuerySet

from cockpit.day_conversions import DESK_MARGIN, booked_between
from counter.models import CashMovement, SyncOrder, Transfer
from infra.admin.csv_export import text_of
from infra.csv_lines import csv_lines, text_cell
from infra.db.ids_by_time import begin_id, end_id
from settlement.models import DeskTransfer, Fill, FundsTransfer, VenueTrade

ROWS_A_STATEMENT = 5_000
MARGIN = timedelta(hours=1)
Page = list[tuple[Any, ...]]


@dataclass(frozen=True)
class Table:
    """What a file has: `at` says when a row was booked; a column is a field, or one of a row that it refers to."""

    name: str
    model: type[Model]
    at: str
    columns: tuple[str, ...]
    # How far ids may be out of the order of `at`; None where `at` is not of the time at which a row got its id.
    margin: timedelta | None = None

    @property
    def heading(self) -> list[str]:
        """Names of the columns as the files have them."""
        return [name.replace("__", "_") for name in self.columns]

    @property
    def fields(self) -> list[Any]:
        """The field of each column."""
        return [_field(self.model, name) for name in self.columns]


JOURNAL = (
    *("id", "created_at", "kind", "debit_account_id", "debit_account__code"),
    *("credit_account_id", "credit_account__code", "asset", "amount"),
)
TABLES = {
    table.name: table
    for table in (
        Table("counter-journal", Transfer, "created_at", (*JOURNAL, "order_id"), MARGIN),
        Table(
            "desk-journal",
            DeskTransfer,
            "created_at",
            (*JOURNAL, "conversion_id", "funds_transfer_id", "break_id", "clearing_payment_id"),
            DESK_MARGIN,
        ),
        Table(
            "orders",
            SyncOrder,
            "placed_at",
            (
                *(
                    "id",
                    "placed_at",
                    "customer__reference",
                    "client_order_id",
                    "kind",
                    "position_id",
                    "symbol",
                ),
                *("underlying", "contracts", "premium", "index_price", "coin", "fair", "spread", "limit"),
                *("payout", "quote_id"),
            ),
            MARGIN,
        ),
        Table(
            "fills",
            Fill,
            "conversion__booked_at",
            (
                *("id", "conversion__booked_at", "traded_at", "conversion_id", "conversion__side", "symbol"),
                *(
                    "venue_trade_id",
                    "price",
                    "coin",
                    "usdt",
                    "fee",
                    "fee_asset",
                    "fee_usdt",
                    "intervention_id",
                ),
            ),
        ),
        Table(
            "venue-trades",
            VenueTrade,
            "traded_at",
            (
                *("id", "traded_at", "symbol", "venue_trade_id", "venue_order_id", "side"),
                *("price", "coin", "usdt", "fee", "fee_asset"),
            ),
        ),
        Table(
            "transfers",
            FundsTransfer,
            "confirmed_at",
            ("id", "planned_at", "confirmed_at", "asset", "direction", "amount", "venue_transfer_id"),
        ),
        Table(
            "cash",
            CashMovement,
            "created_at",
            ("id", "created_at", "customer__reference", "kind", "amount", "reference"),
            MARGIN,
        ),
    )
}


def pages(table: Table, day: date) -> Iterator[Page]:
    """The day's rows in the order of their keys, some thousand at once.

    Which keys those are is asked before anything is handed out: what takes too long for the program that asks fails
    here, and not in the middle of a file. Raises: DatabaseError.
    """
    begins = datetime.combine(day, time.min, UTC)
    ends = begins + timedelta(days=1)
    of_day = _near(table, begins, ends).filter(**{f"{table.at}__gte": begins, f"{table.at}__lt": ends})
    # Keys grow with time, so that a day is a part of them: found once, and the pages need no index of times.
    keys = of_day.aggregate(first=Min("pk"), last=Max("pk"))
    if keys["first"] is None:
        return iter(())
    rows = of_day.filter(pk__lte=keys["last"]).order_by("pk").values_list(*table.columns)
    return _pages(rows, after=keys["first"] - 1)


def _near(table: Table, begins: datetime, ends: datetime) -> QuerySet[Any]:
    """Rows among which those of that time are, with no index of times: by their ids, fills by their conversions.

    All of the transfers between wallets, which are few and may be confirmed long after they were planned; the venue's
    trades by their own index.
    """
    rows = table.model._default_manager.all()
    if table.margin is not None:
        ids = table.model._meta.db_table, table.at
        using = router.db_for_read(table.model)
        return rows.filter(
            pk__gte=begin_id(*ids, begins - table.margin, using=using),
            pk__lt=end_id(*ids, ends + table.margin, using=using),
        )
    if table.model is Fill:
        found = booked_between(begins, ends)
        return rows.filter(conversion__gte=found[0], conversion__lte=found[1]) if found else rows.none()
    return rows


def _pages(rows: Any, *, after: int) -> Iterator[Page]:
    while True:
        page = list(rows.filter(pk__gt=after)[:ROWS_A_STATEMENT])
        if page:
            yield page
        if len(page) < ROWS_A_STATEMENT:
            return
        after = page[-1][0]


def csv_of(table: Table, day: date) -> Iterator[str]:
    """The file as CSV: every digit, times in UTC with their zone, text that is no formula. Raises: DatabaseError."""
    rows = ([cell_of(value) for value in row] for page in pages(table, day) for row in page)
    return csv_lines(table.heading, rows)


def cell_of(value: Any) -> str:
    """One value; a text as it is, with a ' before what a spreadsheet would take for a formula."""
    return text_cell(value) if isinstance(value, str) else text_of(value)


def _field(model: type[Model], path: str) -> Any:
    first, _, rest = path.partition("__")
    if not rest and first.endswith("_id") and first not in {each.name for each in model._meta.fields}:
        first = first.removesuffix("_id")
    field: Any = model._meta.get_field(first)
    if rest:
        return _field(field.related_model, rest)
    return field.target_field if isinstance(field, ForeignKey) else field
