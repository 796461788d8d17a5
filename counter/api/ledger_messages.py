"""Ledger entries and monthly statements as customers read them."""

from datetime import timedelta
from typing import Annotated, Literal

import msgspec
from msgspec import Meta, field

from counter.api.fields import OrderType, Query, Usdt, coin, usdt
from counter.api.ids import LedgerCursor, LedgerEntryId, OrderId
from counter.api.pages import PageQuery
from counter.api.times import TIME
from counter.contracts import Moment
from counter.money.monthly import MonthlyStatement
from counter.money.statements import LedgerEntry
from counter.orders.exercise_names import shown_name
from counter.public_ids import Kind, public_id

LONGEST_RANGE = timedelta(days=366)

From = Annotated[
    str,
    Meta(description="Begin with the first entry made at this time or later.", extra_json_schema=TIME),
]
To = Annotated[
    str, Meta(description="End before the first entry made at this time or later.", extra_json_schema=TIME)
]
Signed = Annotated[str, Meta(description="USDT, 6 decimals: positive in, negative out.")]
FineUsdt = Annotated[str, Meta(description="USDT, 8 decimals.", examples=["0.04500000"])]


class LedgerQuery(PageQuery, kw_only=True):
    """Between which times."""

    cursor: LedgerCursor | None = None
    from_time: From | None = field(default=None, name="from")
    to_time: To | None = field(default=None, name="to")


class LedgerCsvQuery(Query, kw_only=True):
    """Between which times, at most 366 days apart; without `to` as far as that."""

    from_time: From = field(name="from")
    to_time: To | None = field(default=None, name="to")


class EntryOrderBody(msgspec.Struct):
    """The order that an entry belongs to, the same in each of its entries."""

    client_order_id: str
    type: OrderType
    symbol: str
    fair: Annotated[str, Meta(description="USDT, 6 decimals: coin at the index price.")]
    spread: Annotated[str, Meta(description="USDT, 6 decimals: what Crossbook keeps.")]
    fee: Annotated[
        FineUsdt | None,
        Meta(
            description="The order's share of the venue's commission; null until reported. Taken off payouts at fill."
        ),
    ]


class LedgerEntryBody(msgspec.Struct):
    """One movement on the account."""

    id: LedgerEntryId
    kind: Annotated[
        str,  # and no enum: a kind may be added
        Meta(
            description="deposit, withdrawal, withdrawal_released, open and spread (the two parts of a cost), close, "
            "payout, exercise; others may be added.",
            examples=["open"],
        ),
    ]
    asset: Literal["USDT"]
    amount: Signed
    balance_after: Usdt
    order_id: OrderId | None
    order: EntryOrderBody | None
    created_at: Moment


class LedgerPage(msgspec.Struct):
    """Entries, newest first; `next_cursor` asks for the older ones."""

    results: list[LedgerEntryBody]
    next_cursor: str | None


class MonthlyStatementBody(msgspec.Struct):
    """A month by UTC: `opening_balance` + `deposits` - `withdrawals` + `withdrawals_released` - `costs` + `proceeds`
    - `spread` - `fees` = `closing_balance`. Costs and proceeds are before spread and fees."""

    begins_at: Moment
    ends_at: Moment
    entries: int
    opening_balance: Usdt
    deposits: Usdt
    withdrawals: Usdt
    withdrawals_released: Usdt
    costs: Usdt
    proceeds: FineUsdt
    spread: Usdt
    fees: Annotated[
        FineUsdt, Meta(description="USDT, 8 decimals: the venue's commission on payouts at fill.")
    ]
    closing_balance: Usdt


def ledger_entry_body(entry: LedgerEntry) -> LedgerEntryBody:
    """An entry as customers see it."""
    order = entry.order
    return LedgerEntryBody(
        id=public_id(Kind.LEDGER_ENTRY, entry.id),
        kind=entry.kind,
        asset="USDT",
        amount=usdt(entry.amount),
        balance_after=usdt(entry.balance_after),
        order_id=None if entry.order_id is None else public_id(Kind.ORDER, entry.order_id),
        order=None
        if order is None
        else EntryOrderBody(
            client_order_id=shown_name(order.client_order_id),
            type=order.kind.lower(),  # type: ignore[arg-type]
            symbol=order.symbol,
            fair=usdt(order.fair),
            spread=usdt(order.spread),
            fee=None if order.fee is None else coin(order.fee),
        ),
        created_at=entry.created_at,
    )


def monthly_statement_body(statement: MonthlyStatement) -> MonthlyStatementBody:
    """A statement as customers see it."""
    return MonthlyStatementBody(
        begins_at=statement.begins_at,
        ends_at=statement.ends_at,
        entries=statement.entries,
        opening_balance=usdt(statement.opening_balance),
        deposits=usdt(statement.deposits),
        withdrawals=usdt(statement.withdrawals),
        withdrawals_released=usdt(statement.withdrawals_released),
        costs=usdt(statement.costs),
        proceeds=coin(statement.proceeds),
        spread=usdt(statement.spread),
        fees=coin(statement.fees),
        closing_balance=usdt(statement.closing_balance),
    )
