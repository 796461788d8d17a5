"""Money in and out as the exchange's wallet service sends and reads it, and as customers read their withdrawals."""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from counter.api.fields import Amount, Query, Usdt, usdt
from counter.api.ids import WithdrawalCursor, WithdrawalId
from counter.api.times import TimedQuery
from counter.contracts import Moment
from counter.models import CashMovement, Customer, Withdrawal
from counter.public_ids import Kind, public_id

# Part of addresses, so it begins with what no client takes for a step in a path.
Reference = Annotated[
    str,
    Meta(
        pattern=r"^[A-Za-z0-9][A-Za-z0-9_.:-]{0,63}(?!\n)$",
        description="The wallet's own name of a deposit or a withdrawal, unique among both.",
        examples=["w-20261101-0001"],
    ),
]
CustomerReference = Annotated[
    str,
    Meta(
        pattern=r"^[A-Za-z0-9][A-Za-z0-9_.:@+-]{0,63}(?!\n)$",
        description="The customer's name in the exchange's own systems.",
    ),
]
WithdrawalState = Annotated[Literal["reserved", "confirmed", "released"], Meta(title="WithdrawalState")]


class NewCustomer(msgspec.Struct, forbid_unknown_fields=True):
    """A customer to be opened an account for."""

    reference: CustomerReference


class NewMovement(msgspec.Struct, forbid_unknown_fields=True):
    """A deposit that has arrived, or a withdrawal to be reserved."""

    customer: CustomerReference
    amount: Amount
    reference: Reference


class CustomerBody(msgspec.Struct):
    """A customer with an account."""

    reference: str
    opened_at: Moment


class MovementBody(msgspec.Struct):
    """One step of money in or out. Ids grow, and a page's last is followed by nothing that is older."""

    id: int
    kind: Literal["deposit", "reservation", "confirmation", "release"]
    reference: str
    customer: str
    amount: Usdt
    at: Moment


class MovementPage(msgspec.Struct):
    """Steps, oldest first; ask for more after `last_id`."""

    results: list[MovementBody]
    last_id: int


class WalletWithdrawal(msgspec.Struct):
    """A withdrawal as the wallet service sees it."""

    reference: str
    customer: str
    amount: Usdt
    state: WithdrawalState
    reserved_at: Moment
    confirmed_at: Moment | None
    released_at: Moment | None


class WalletWithdrawalPage(msgspec.Struct):
    """Withdrawals, newest first; `next_cursor` asks for the older ones."""

    results: list[WalletWithdrawal]
    next_cursor: str | None


class WithdrawalBody(msgspec.Struct):
    """A withdrawal as its customer sees it: `reserved` is on its way, `released` came back."""

    id: WithdrawalId
    amount: Usdt
    state: WithdrawalState
    reserved_at: Moment
    confirmed_at: Moment | None
    released_at: Moment | None


class WithdrawalPage(msgspec.Struct):
    """Withdrawals, newest first; `next_cursor` asks for the older ones."""

    results: list[WithdrawalBody]
    next_cursor: str | None


class WithdrawalQuery(TimedQuery, kw_only=True):
    """Filters of withdrawals; the times are those of `reserved_at`."""

    cursor: WithdrawalCursor | None = None
    state: WithdrawalState | None = None


class MovementQuery(Query, kw_only=True):
    """After which step, and how many."""

    after: Annotated[int, Meta(ge=0, le=2**63 - 1)] = 0
    limit: Annotated[int, Meta(ge=1, le=1000)] = 500


def customer_body(customer: Customer) -> CustomerBody:
    """A customer as the wallet service sees one."""
    return CustomerBody(customer.reference, customer.created_at)


def movement_body(movement: CashMovement) -> MovementBody:
    """A step with its customer, who has to be loaded."""
    return MovementBody(
        id=movement.pk,
        kind=movement.kind.lower(),  # type: ignore[arg-type]
        reference=movement.reference,
        customer=movement.customer.reference,
        amount=usdt(movement.amount),
        at=movement.created_at,
    )


def wallet_withdrawal(row: Withdrawal) -> WalletWithdrawal:
    """A withdrawal with its customer, who has to be loaded."""
    return WalletWithdrawal(
        reference=row.reference,
        customer=row.customer.reference,
        amount=usdt(row.amount),
        state=row.state.lower(),
        reserved_at=row.reserved_at,
        confirmed_at=row.confirmed_at,
        released_at=row.released_at,
    )


def withdrawal_body(row: Withdrawal) -> WithdrawalBody:
    """A withdrawal as its customer sees it."""
    return WithdrawalBody(
        id=public_id(Kind.WITHDRAWAL, row.pk),
        amount=usdt(row.amount),
        state=row.state.lower(),
        reserved_at=row.reserved_at,
        confirmed_at=row.confirmed_at,
        released_at=row.released_at,
    )
