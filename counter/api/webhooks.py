"""The customer's webhook endpoints: made, listed, stopped, given another secret, deleted."""

from typing import Any

import msgspec
from django.http import HttpResponse
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from counter.access import webhook_endpoints
from counter.api.duplicate_fields import check_no_duplicates
from counter.api.errors import ApiError
from counter.api.examples import REGISTER_WEBHOOK
from counter.api.openapi import CHANGING_ERRORS, READING_ERRORS, answers, described
from counter.api.views import CustomerView
from counter.api.webhook_messages import (
    NewWebhookEndpoint,
    RegisteredWebhookEndpoint,
    WebhookEndpointBody,
    WebhookEndpointChange,
    WebhookEndpointList,
    endpoint_body,
    registered_body,
)
from counter.models import ApiKey
from infra.coordination import clock

UNCACHED = {"Cache-Control": "no-store"}  # it holds a secret
_REGISTERING_ERRORS = (*CHANGING_ERRORS, "webhook_url_refused", "too_many_webhook_endpoints")
_WITHOUT_BODY = ("malformed_json", "body_too_large", "unsupported_media_type")
_BODILESS_ERRORS = (*(code for code in CHANGING_ERRORS if code not in _WITHOUT_BODY), "not_found")


class _EndpointView(CustomerView):
    """Takes no body in which a field is given twice.

    An endpoint is told of balances, orders and payouts: only a key that may read them makes one or gets its secret.
    """

    changes_need_too = (ApiKey.Scope.READ,)

    def read(self, body: bytes) -> Any:
        message = super().read(body)
        check_no_duplicates(body, colons=-1)  # an address holds colons: counting them tells nothing
        return message

    def _no_body(self, request: Request) -> None:
        if request.body:
            raise ApiError("invalid_request", "this address takes no body")


class WebhookEndpointsView(_EndpointView):
    """The customer's endpoints."""

    decoder = msgspec.json.Decoder(NewWebhookEndpoint)

    @extend_schema(
        operation_id="list_webhook_endpoints",
        tags=["webhooks"],
        responses=answers(READING_ERRORS, {200: WebhookEndpointList}),
        summary="List own webhook endpoints, oldest first",
    )
    def get(self, request: Request) -> Response:
        """All of them; there are few."""
        rows = webhook_endpoints.endpoints_of(self.customer_id)
        return Response(WebhookEndpointList([endpoint_body(row) for row in rows]))

    @extend_schema(
        operation_id="register_webhook_endpoint",
        tags=["webhooks"],
        request=described(NewWebhookEndpoint),
        responses=answers(_REGISTERING_ERRORS, {201: RegisteredWebhookEndpoint}),
        examples=REGISTER_WEBHOOK,
        summary="Have events sent to an address",
    )
    def post(self, request: Request) -> Response:
        """It hears of what happens from now on. The answer has the secret, which is not told again.

        An API key needs both scopes, `read` and `trade`, to change anything here.
        """
        asked = self.message
        made = webhook_endpoints.register(
            customer_id=self.customer_id,
            url=asked.url,
            types=asked.types,
            label=asked.label,
            now=clock.of("default").now(),
        )
        return Response(registered_body(made), status=201, headers=UNCACHED)


class WebhookEndpointView(_EndpointView):
    """One of the customer's endpoints."""

    decoder = msgspec.json.Decoder(WebhookEndpointChange)

    @extend_schema(
        operation_id="change_webhook_endpoint",
        tags=["webhooks"],
        request=described(WebhookEndpointChange),
        responses=answers(
            (*CHANGING_ERRORS, "not_found", "webhook_disabled_by_staff"), {200: WebhookEndpointBody}
        ),
        summary="Disable or enable a webhook endpoint",
    )
    def patch(self, request: Request, endpoint_id: str) -> Response:
        """Enabled again it is sent what waited, as long as that is tried: at once, or later if it failed before."""
        if self.message.enabled:
            changed = webhook_endpoints.enable(customer_id=self.customer_id, public_id=endpoint_id)
        else:
            changed = webhook_endpoints.disable(
                customer_id=self.customer_id, public_id=endpoint_id, now=clock.of("default").now()
            )
        return Response(endpoint_body(changed))

    @extend_schema(
        operation_id="delete_webhook_endpoint",
        tags=["webhooks"],
        responses=answers(_BODILESS_ERRORS, {204: None}),
        summary="Delete a webhook endpoint",
    )
    def delete(self, request: Request, endpoint_id: str) -> HttpResponse:
        """What waits for it is never sent."""
        self._no_body(request)
        webhook_endpoints.delete(
            customer_id=self.customer_id, public_id=endpoint_id, now=clock.of("default").now()
        )
        return HttpResponse(status=204)


class WebhookSecretView(_EndpointView):
    """The secret of one of the customer's endpoints."""

    @extend_schema(
        operation_id="rotate_webhook_secret",
        tags=["webhooks"],
        request=None,
        responses=answers(_BODILESS_ERRORS, {200: RegisteredWebhookEndpoint}),
        summary="Give a webhook endpoint a new secret",
    )
    def post(self, request: Request, endpoint_id: str) -> Response:
        """For 24 hours messages carry a signature by the one before too. The answer has the new one, this once."""
        self._no_body(request)
        made = webhook_endpoints.rotate(
            customer_id=self.customer_id, public_id=endpoint_id, now=clock.of("default").now()
        )
        return Response(registered_body(made), headers=UNCACHED)
