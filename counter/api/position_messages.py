"""Positions and balances as customers read them."""

from decimal import Decimal
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from counter.api.fields import Contracts, Price, Symbol, Usdt, coin, usdt
from counter.api.ids import PositionCursor, PositionId
from counter.api.times import TimedQuery
from counter.contracts import Moment
from counter.limits.in_force import limits_of
from counter.models import Account, Position
from counter.public_ids import Kind, public_id

PositionState = Annotated[
    Literal["open", "closing", "closed", "exercised", "expired"], Meta(title="PositionState")
]
_ENDED = (Position.State.EXERCISED, Position.State.EXPIRED)


class PositionBody(msgspec.Struct):
    """What one opening order bought: the order whose `position_id` is its id.

    `closing`: nothing is left, but a payout at fill is still to come (`unpaid` orders wait for theirs). `exercised` and
    `expired`: it ended with its option, at `settlement_index`; the order that exercised it is `exercise/` and its id.
    """

    id: PositionId
    symbol: Symbol
    contracts: Contracts
    remaining: int
    unpaid: int
    cost: Usdt
    proceeds: Annotated[Usdt, Meta(description="USDT paid out so far.")]
    state: PositionState
    opened_at: Moment
    closed_at: Moment | None
    settlement_index: Annotated[
        Price | None, Meta(description="What it was exercised or expired at; null for any other state.")
    ]


class PositionQuery(TimedQuery, kw_only=True):
    """Filters of positions; the times are those of `opened_at`."""

    cursor: PositionCursor | None = None
    state: PositionState | None = None


class PositionPage(msgspec.Struct):
    """Positions, newest first; `next_cursor` asks for the older ones."""

    results: list[PositionBody]
    next_cursor: str | None


class AccountLimits(msgspec.Struct):
    """What the customer may have open, and how many orders a second."""

    contracts: int
    notional: Usdt
    orders_per_s: int


class AccountBody(msgspec.Struct):
    """What the customer holds of an asset."""

    asset: Literal["USDT"]
    balance: Usdt


class LimitedAccount(AccountBody):
    """With what is open, and what may be."""

    open_contracts: int
    open_notional: Annotated[Usdt, Meta(description="Cost of what is open: USDT.")]
    limits: AccountLimits


class AccountList(msgspec.Struct):
    """The customer's accounts."""

    results: list[LimitedAccount]


def limited_account(account: Account) -> LimitedAccount:
    """A customer's account with the limits that hold for it."""
    limits = limits_of(account)
    return LimitedAccount(
        asset="USDT",
        balance=usdt(account.balance or Decimal(0)),
        open_contracts=account.open_contracts,
        open_notional=usdt(account.open_cost),
        limits=AccountLimits(limits.contracts, usdt(limits.notional), limits.orders_per_s),
    )


def position_body(position: Position) -> PositionBody:
    """A position with its option's symbol and index, which has to be loaded."""
    index = position.option.settlement_index if position.state in _ENDED else None
    return PositionBody(
        id=public_id(Kind.POSITION, position.pk),
        symbol=position.option.symbol,
        contracts=position.contracts,
        remaining=position.remaining,
        unpaid=position.unpaid,
        cost=usdt(position.cost),
        proceeds=usdt(position.proceeds),
        state=position.state.lower(),
        opened_at=position.opened_at,
        closed_at=position.closed_at,
        settlement_index=None if index is None else coin(index),
    )
