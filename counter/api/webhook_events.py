"""The bodies of webhooks, as they are sent and as the schema shows them; their `data` is what the API answers."""

from typing import Annotated, Literal

import msgspec
from drf_spectacular.utils import OpenApiResponse, OpenApiWebhook, extend_schema
from msgspec import Meta

from counter import events
from counter.api.ledger_messages import LedgerEntryBody
from counter.api.openapi import described
from counter.api.order_messages import StoredOrder
from counter.api.position_messages import PositionBody
from counter.api.wallet_messages import WithdrawalBody
from counter.contracts import Moment

TakenBy = Annotated[
    str | None, Meta(description="The customer's reference; told to the exchange's own endpoints only.")
]
OrderEventType = Annotated[Literal["order.settled", "payout.credited"], Meta(title="OrderEventType")]
PositionEventType = Annotated[
    Literal["position.exercised", "position.expired"], Meta(title="PositionEventType")
]
WithdrawalEventType = Annotated[
    Literal["withdrawal.reserved", "withdrawal.confirmed", "withdrawal.released"],
    Meta(title="WithdrawalEventType"),
]


class OrderEvent(msgspec.Struct, omit_defaults=True):
    """An order was settled, or its proceeds were credited."""

    type: OrderEventType
    timestamp: Moment
    data: StoredOrder
    customer: TakenBy = None


class PositionEvent(msgspec.Struct, omit_defaults=True):
    """A position ended with its option."""

    type: PositionEventType
    timestamp: Moment
    data: PositionBody
    customer: TakenBy = None


class DepositEvent(msgspec.Struct, omit_defaults=True):
    """USDT arrived."""

    type: Literal["deposit.credited"]
    timestamp: Moment
    data: LedgerEntryBody
    customer: TakenBy = None


class WithdrawalEvent(msgspec.Struct, omit_defaults=True):
    """A withdrawal left the account, was paid, or came back."""

    type: WithdrawalEventType
    timestamp: Moment
    data: WithdrawalBody
    customer: TakenBy = None


EVENTS: dict[str, type[msgspec.Struct]] = {
    events.ORDER_SETTLED: OrderEvent,
    events.PAYOUT_CREDITED: OrderEvent,
    events.POSITION_EXERCISED: PositionEvent,
    events.POSITION_EXPIRED: PositionEvent,
    events.DEPOSIT_CREDITED: DepositEvent,
    events.WITHDRAWAL_RESERVED: WithdrawalEvent,
    events.WITHDRAWAL_CONFIRMED: WithdrawalEvent,
    events.WITHDRAWAL_RELEASED: WithdrawalEvent,
}


def webhook_of(name: str) -> OpenApiWebhook:
    """What the schema says of one type of event."""
    message = EVENTS[name]
    return OpenApiWebhook(
        name=name,
        decorator=extend_schema(
            summary=(message.__doc__ or "").partition("\n")[0],
            description="Signed by the Standard Webhooks scheme: docs/webhooks.md.",
            request=described(message),
            responses={"2XX": OpenApiResponse(description="Taken. Anything else is sent again.")},
        ),
    )


# By the names under which the settings list them.
ORDER_SETTLED = webhook_of(events.ORDER_SETTLED)
PAYOUT_CREDITED = webhook_of(events.PAYOUT_CREDITED)
POSITION_EXERCISED = webhook_of(events.POSITION_EXERCISED)
POSITION_EXPIRED = webhook_of(events.POSITION_EXPIRED)
DEPOSIT_CREDITED = webhook_of(events.DEPOSIT_CREDITED)
WITHDRAWAL_RESERVED = webhook_of(events.WITHDRAWAL_RESERVED)
WITHDRAWAL_CONFIRMED = webhook_of(events.WITHDRAWAL_CONFIRMED)
WITHDRAWAL_RELEASED = webhook_of(events.WITHDRAWAL_RELEASED)
