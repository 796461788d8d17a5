"""Webhook endpoints as customers make and read them."""

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from counter.access.webhook_endpoints import LONGEST_LABEL, Registered
from counter.contracts import Moment
from counter.models import WebhookEndpoint
from infra.http_client.strangers import LONGEST_URL

EventType = Annotated[
    Literal[
        "order.settled",
        "payout.credited",
        "position.exercised",
        "position.expired",
        "deposit.credited",
        "withdrawal.reserved",
        "withdrawal.confirmed",
        "withdrawal.released",
    ],
    Meta(title="EventType"),
]
EndpointUrl = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=LONGEST_URL,
        description="`https://`, at a public address, without user and password.",
        examples=["https://bot.example.org/crossbook"],
    ),
]
EndpointLabel = Annotated[
    str,
    Meta(
        max_length=LONGEST_LABEL,
        description="The customer's own name of it.",
        examples=["order book of bot 7"],
    ),
]


class NewWebhookEndpoint(msgspec.Struct, forbid_unknown_fields=True):
    """Where events are to be sent: those of `types`, or all of them."""

    url: EndpointUrl
    types: Annotated[
        list[EventType], Meta(max_length=20, description="None: all, those added later too.")
    ] = []
    label: EndpointLabel = ""


class WebhookEndpointChange(msgspec.Struct, forbid_unknown_fields=True):
    """`enabled` false: what happens from now on is not written down for it, and nothing is sent."""

    enabled: bool


class WebhookEndpointBody(msgspec.Struct):
    """An endpoint. `failing_since`: it has taken nothing since; what it misses is tried again for days."""

    id: Annotated[str, Meta(description="Opaque.", examples=["whe_5f0c3a9d1e2b4c6d8e7f9a0b"])]
    url: str
    types: Annotated[list[EventType], Meta(description="None: all.")]
    label: str
    enabled: bool
    disabled_by: Annotated[
        str | None,  # and no enum: one may be added
        Meta(
            description="`customer`, `staff`, or `gone`: the receiver answered 410. Null while it is enabled.",
            examples=["gone"],
        ),
    ]
    failing_since: Moment | None
    created_at: Moment


class RegisteredWebhookEndpoint(WebhookEndpointBody):
    """An endpoint with its new secret, which is told this once."""

    secret: Annotated[
        str, Meta(description="Verifies messages.", examples=["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"])
    ]


class WebhookEndpointList(msgspec.Struct):
    """All endpoints, oldest first."""

    results: list[WebhookEndpointBody]


def endpoint_body(row: WebhookEndpoint) -> WebhookEndpointBody:
    """An endpoint as its customer sees it."""
    return WebhookEndpointBody(**_fields(row))


def registered_body(made: Registered) -> RegisteredWebhookEndpoint:
    """An endpoint and its secret."""
    return RegisteredWebhookEndpoint(**_fields(made.endpoint), secret=made.secret)


def _fields(row: WebhookEndpoint) -> dict[str, Any]:
    return {
        "id": row.public_id,
        "url": row.url,
        "types": row.types,
        "label": row.label,
        "enabled": not row.disabled,
        "disabled_by": row.disabled or None,
        "failing_since": row.failing_since,
        "created_at": row.created_at,
    }
