"""The base of all customer views, and strict reading of what a request carries."""

from typing import Any, TypeVar

import msgspec
from django.http import HttpRequest
from rest_framework.request import Request
from rest_framework.views import APIView

from counter.api.auth import CustomerSessionAuthentication, CustomerTokenAuthentication, IsCustomer
from counter.api.errors import ApiError

T = TypeVar("T")


class CustomerView(APIView):
    """A view for one customer, who is known when the handler runs."""

    authentication_classes = [CustomerTokenAuthentication, CustomerSessionAuthentication]
    permission_classes = [IsCustomer]

    @property
    def customer_id(self) -> int:
        """Id of the customer who asks."""
        return self.request.user.customer_id  # type: ignore[union-attr]


def body_of(request: Request | HttpRequest) -> bytes:
    """The raw JSON body, which is UTF-8 and not packed.

    Raises: ApiError; RequestDataTooBig.
    """
    plain: HttpRequest = getattr(request, "_request", request)
    charset = (plain.content_params or {}).get("charset", "utf-8")
    packed = plain.headers.get("Content-Encoding", "identity")
    if plain.content_type != "application/json" or charset.lower() != "utf-8" or packed.lower() != "identity":
        raise ApiError("unsupported_media_type")
    return plain.body


def decode(raw: bytes | msgspec.Raw, decoder: msgspec.json.Decoder[T]) -> T:
    """Strict decoding: unknown fields, wrong types and JSON floats in place of amounts are refused.

    Raises: ApiError.
    """
    try:
        return decoder.decode(raw)
    except msgspec.ValidationError as error:
        raise _invalid(error) from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ApiError("malformed_json", str(error)) from error


def query_of(request: Request | HttpRequest, kind: type[T]) -> T:
    """Query parameters as a message; unknown ones are refused, and those that are given twice.

    Raises: ApiError.
    """
    parameters: Any = request.GET
    for name, values in parameters.lists():
        if len(values) > 1:
            raise ApiError("invalid_request", "given more than once", path=f"$.{name}")
    try:
        asked = msgspec.convert(parameters.dict(), kind, strict=False)
    except msgspec.ValidationError as error:
        raise _invalid(error) from error
    for name in parameters:
        if getattr(asked, name) is None:  # the text "null" reads as None
            raise ApiError("invalid_request", "null is no value", path=f"$.{name}")
    return asked


def _invalid(error: msgspec.ValidationError) -> ApiError:
    message, found, path = str(error).partition(" - at `")
    return ApiError("invalid_request", message, **({"path": path.rstrip("`")} if found else {}))
