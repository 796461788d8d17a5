"""Describing the API's msgspec messages to drf-spectacular: what decodes a request is what the schema says of it."""

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec
from drf_spectacular.authentication import SessionScheme
from drf_spectacular.drainage import set_override
from drf_spectacular.extensions import OpenApiAuthenticationExtension, OpenApiSerializerExtension
from drf_spectacular.plumbing import ResolvedComponent
from drf_spectacular.settings import spectacular_settings
from drf_spectacular.utils import OpenApiResponse, PolymorphicProxySerializer

from counter.access.request_signing import (
    DEFAULT_RECV_WINDOW_MS,
    KEY_HEADER,
    LONGEST_RECV_WINDOW_MS,
    RECV_WINDOW_HEADER,
    SIGNATURE_HEADER,
    TIMESTAMP_HEADER,
)
from counter.api.codes import CODES, ORDER_CODES
from counter.api.errors import ErrorBody
from counter.api.fields import Query
from counter.api.order_messages import CloseOrder, OpenOrder
from counter.api.quote_messages import CloseQuote, OpenQuote
from counter.orders.requests import RejectCode

LIMIT_HEADERS = {
    "RateLimit-Limit": "Requests at once that the scarcest limit lets through, of the customer or of the key.",
    "RateLimit-Remaining": "How many of them are left now.",
    "RateLimit-Reset": "Seconds until all of them are there again.",
}
REQUEST_ID = (
    "The request's own, if it brought one of 1 to 36 letters, digits and `_:-`, else a new one. In our logs."
)
RETRY_AFTER = {"Retry-After": "Seconds after which to ask again."}
_REF = "#/components/schemas/{name}"
_ANYWHERE = (
    *("not_authenticated", "authentication_failed"),
    *("signature_invalid", "signature_expired", "signature_replayed"),
    *("customer_required", "scope_required", "ip_not_allowed", "permission_denied"),
)
_OF_ALL = ("method_not_allowed", "not_acceptable", "internal_error", "overloaded", "unavailable")
_ALWAYS = (*_ANYWHERE, *_OF_ALL, "throttled")

# As `CustomerView` has them, and none: of operations that need no credentials and take them.
ANY_AUTH: Any = [
    {"apiKey": [], "apiTimestamp": [], "apiSignature": []},
    {"tokenAuth": []},
    {"cookieAuth": []},
    {},
]
PUBLIC_ERRORS = ("invalid_request", *_OF_ALL)
READING_ERRORS = (*_ALWAYS, "invalid_request", "not_found")
STREAM_ERRORS = (*READING_ERRORS, "too_many_streams")
CHANGING_ERRORS = (
    *_ALWAYS,
    *("malformed_json", "invalid_request", "body_too_large", "unsupported_media_type"),
    "idempotency_key_refused",
)
PLACING_ERRORS = (
    *_ALWAYS,
    *("malformed_json", "invalid_request", "body_too_large", "batch_too_large", "unsupported_media_type"),
    "idempotency_key_refused",
    *ORDER_CODES,
)
QUOTING_ERRORS = (
    *_ALWAYS,
    *("malformed_json", "invalid_request", "body_too_large", "unsupported_media_type"),
    "idempotency_key_refused",
    *(RejectCode.ACCOUNT_NOT_FOUND, RejectCode.OPTION_NOT_FOUND, RejectCode.POSITION_NOT_FOUND),
    *(RejectCode.OPTION_HALTED, RejectCode.OPTION_EXPIRED, RejectCode.OPENS_ENDED),
    *(RejectCode.COIN_HALTED, RejectCode.TRADING_STOPPED),
    *(RejectCode.QUOTE_MISSING, RejectCode.QUOTE_STALE, RejectCode.AMOUNT_TOO_SMALL),
    *(RejectCode.AMOUNT_TOO_LARGE, RejectCode.POSITION_TOO_SMALL, RejectCode.TOO_MANY_QUOTES),
    RejectCode.PAYOUT_AT_FILL_ONLY,
)


class MessageExtension(OpenApiSerializerExtension):
    """Lets `extend_schema` take msgspec Structs where it takes serializers."""

    target_class = "msgspec.Struct"
    match_subclasses = True

    def get_name(self, auto_schema: Any, direction: Any) -> str:
        # A message is registered as itself or as a part of another one, with the same schema either way.
        set_override(self.target, "suppress_collision_warning", True)
        return self.target.__name__

    def map_serializer(self, auto_schema: Any, direction: Any) -> dict[str, Any]:
        _, components = msgspec.json.schema_components([self.target], ref_template=_REF)
        own = components.pop(self.target.__name__)
        _register(auto_schema, components)
        if issubclass(self.target, Query):
            own["properties"] = {name: _without_null(field) for name, field in own["properties"].items()}
        return own


def with_bodies_of_webhooks(result: dict[str, Any], generator: Any, **others: Any) -> dict[str, Any]:
    """Postprocessing hook: the library collects components before it comes to the webhooks."""
    result["components"] = generator.registry.build(spectacular_settings.APPEND_COMPONENTS)
    return result


def say_what_types_cannot(result: dict[str, Any], **generator: Any) -> dict[str, Any]:
    """Postprocessing hook: bodies are never left out, and which headers answers have."""
    for operations in result["paths"].values():
        for operation in operations.values():
            if "requestBody" in operation:
                operation["requestBody"]["required"] = True
            _tell_limits(operation["responses"])
    return result


def _tell_limits(responses: dict[str, Any]) -> None:
    """Describe the headers of limits: any answer may have them, a refusal by one says when to ask again."""
    for status, response in responses.items():
        described = {**LIMIT_HEADERS, **(RETRY_AFTER if status in ("429", "503") else {})}
        headers = response.setdefault("headers", {})
        headers["Request-Id"] = {"description": REQUEST_ID, "schema": {"type": "string"}, "required": True}
        headers.update(
            {name: {"description": text, "schema": {"type": "integer"}} for name, text in described.items()}
        )


class SignedRequestScheme(OpenApiAuthenticationExtension):
    """Describes signed requests: four headers, of which only the window may be left out."""

    target_class = "counter.api.signed_requests.SignedRequestAuthentication"
    name = ["apiKey", "apiTimestamp", "apiSignature"]

    def get_security_requirement(self, auto_schema: Any) -> dict[str, list[Any]]:
        """All of them together."""
        return {name: [] for name in self.name}

    def get_security_definition(self, auto_schema: Any) -> list[dict[str, Any]]:
        """One header each."""
        described = {
            KEY_HEADER: "The key's public id.",
            TIMESTAMP_HEADER: "Milliseconds since 1970, 13 digits. "
            f"{RECV_WINDOW_HEADER} may say for how many ms it counts: {DEFAULT_RECV_WINDOW_MS} unless given, "
            f"at most {LONGEST_RECV_WINDOW_MS}.",
            SIGNATURE_HEADER: "Hex HMAC-SHA256 with the key's secret over timestamp + recv_window + METHOD + "
            "path with query + body, exact bytes, nothing between. Taken once.",
        }
        return [
            {"type": "apiKey", "in": "header", "name": header, "description": text}
            for header, text in described.items()
        ]


class CustomerSessionScheme(SessionScheme):
    """Describes our session authentication as Django's, which it is."""

    target_class = "counter.api.auth.CustomerSessionAuthentication"


def _register(auto_schema: Any, components: Mapping[str, Any]) -> None:
    for name, schema in components.items():
        auto_schema.registry.register_on_missing(
            ResolvedComponent(name=name, type=ResolvedComponent.SCHEMA, object=name, schema=schema)
        )


def _without_null(field: dict[str, Any]) -> dict[str, Any]:
    """A query parameter that may be left out, but has no way to be null."""
    match field.get("anyOf"):
        case [only, {"type": "null"}]:
            return only
    return field


def described(message: type[msgspec.Struct]) -> Any:
    """A message where drf-spectacular's type hints know serializers only; `MessageExtension` maps it."""
    return message


NEW_ORDER = PolymorphicProxySerializer(
    component_name="NewOrder",
    serializers={"open": described(OpenOrder), "close": described(CloseOrder)},
    resource_type_field_name="type",
)

NEW_QUOTE = PolymorphicProxySerializer(
    component_name="NewQuote",
    serializers={"open": described(OpenQuote), "close": described(CloseQuote)},
    resource_type_field_name="side",
)


def answers(codes: Iterable[str], good: Mapping[int, type | None]) -> dict[int, Any]:
    """`responses` of an operation: the good ones, and for each error status the codes that it may carry."""
    by_status: dict[int, list[str]] = {}
    for code in codes:
        by_status.setdefault(CODES[code].status, []).append(code)
    errors = {
        status: OpenApiResponse(
            ErrorBody, description=" ".join(f"`{code}`: {CODES[code].meaning}" for code in known)
        )
        for status, known in sorted(by_status.items())
    }
    return {**good, **errors}
