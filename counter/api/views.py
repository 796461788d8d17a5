"""The base of all views of the API: who may call (authentication, permissions, throttles), one parser, one renderer.

    addresses        who is asked                                           by
    /api/v1/         a key's signature, else a token, else a session        CustomerView
    /api/v1/quotes   the same to trade, and anybody to read                 MarketView
    /api/v1/time     anybody                                                PublicView
    /internal/v1/    the desk's signature                                   DeskView
    /wallet/v1/      the wallet service's signature                         WalletView

Bodies come in by `MessageParser` and go out by `MessageRenderer`, which the settings name for all. The one exception is
the fast path of orders (`counter.api.fast_path`, which says why): it shares their authentication, reading and answers.
"""

from typing import Any, ClassVar

import msgspec
from django.http import HttpResponse
from rest_framework.permissions import SAFE_METHODS
from rest_framework.request import Request
from rest_framework.views import APIView

from counter.access.rate_limit import LimitStatus
from counter.api.auth import (
    CustomerSessionAuthentication,
    CustomerTokenAuthentication,
    HasScope,
    IsCustomer,
    ReadsOrIsCustomer,
)
from counter.api.errors import ApiError, error_answer, tell_standing
from counter.api.negotiation import Negotiation, ServiceNegotiation
from counter.api.parsers import MessageParser, decode
from counter.api.service_auth import DeskAuthentication, WalletAuthentication
from counter.api.signed_requests import SignedRequestAuthentication
from counter.api.throttling import AdmissionThrottle


class ApiView(APIView):
    """A view whose bodies are messages."""

    content_negotiation_class = Negotiation
    decoder: ClassVar[msgspec.json.Decoder[Any]]  # of the body, if it takes one

    def read(self, body: bytes) -> Any:
        """A body as a message; `MessageParser` asks.

        Raises: ApiError.
        """
        return decode(body, self.decoder)

    @property
    def message(self) -> Any:
        """What the request's body says, as `read` makes it.

        Raises: ApiError; RequestDataTooBig.
        """
        message = self.request.data
        if isinstance(message, dict):  # REST framework asks no parser about an empty body
            return MessageParser().parse(None, None, self.request.parser_context)
        return message


class CustomerView(ApiView):
    """A view for one customer, who is known when the handler runs."""

    authentication_classes = [
        SignedRequestAuthentication,
        CustomerTokenAuthentication,
        CustomerSessionAuthentication,
    ]
    permission_classes = [IsCustomer, HasScope]
    throttle_classes = [AdmissionThrottle]
    changes_need_too: tuple[str, ...] = ()  # scopes of a key, beside `trade`
    unpaced_methods: tuple[str, ...] = ()  # that do not count against the customer's requests a second
    standing: LimitStatus | None = None  # of the scarcest limit, once it was asked

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Refuse a header by which other APIs repeat, lest somebody relies on it here.

        Raises: ApiError.
        """
        super().initial(request, *args, **kwargs)
        if request.method not in SAFE_METHODS and "Idempotency-Key" in request.headers:
            raise ApiError("idempotency_key_refused")

    @property
    def customer_id(self) -> int:
        """Id of the customer who asks."""
        return self.request.user.customer_id  # type: ignore[union-attr]

    def finalize_response(self, *arguments: Any, **named: Any) -> Any:
        """With where the limits stand."""
        response = super().finalize_response(*arguments, **named)
        if self.standing is not None:
            tell_standing(response, self.standing)
        return response


class MarketView(CustomerView):
    """A view of what everybody may know: who gives no credentials may read, as often as an address may.

    Credentials that are given count as anywhere: wrong ones are refused, and a customer's limits are the customer's.
    """

    permission_classes = [ReadsOrIsCustomer, HasScope]


class PublicView(ApiView):
    """A view for anybody: credentials are not looked at, so wrong ones keep nobody out."""

    authentication_classes = []
    permission_classes = []
    throttle_classes = []
    http_method_names = ["get", "head"]


class ServiceView(ApiView):
    """A view for a service of ours, which signs each call; its address takes what it has a handler for, no more."""

    content_negotiation_class = ServiceNegotiation
    http_method_names = ["get", "post"]
    schema = None  # that of /api/schema is the customers'

    @property
    def default_response_headers(self) -> dict[str, str]:
        """None: `Allow` is told to who asks by another method."""
        return {}

    def http_method_not_allowed(  # type: ignore[override]
        self, request: Request, *args: Any, **kwargs: Any
    ) -> HttpResponse:
        """405, with the methods that there are."""
        response = error_answer("method_not_allowed")
        response["Allow"] = ", ".join(self.allowed_methods)
        return response


class DeskView(ServiceView):
    """A view for the desk."""

    authentication_classes = [DeskAuthentication]


class WalletView(ServiceView):
    """A view for the exchange's wallet service."""

    authentication_classes = [WalletAuthentication]
