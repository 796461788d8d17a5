"""The base of all customer views, and strict reading of what a request carries."""

from typing import Any, TypeVar

import msgspec
from django.conf import settings
from django.http import HttpRequest
from msgspec import structs
from rest_framework.request import Request
from rest_framework.views import APIView

from counter.access.admission import Asking, SignatureUse, admissions
from counter.access.pace import Standing, of_customer
from counter.api.auth import (
    Caller,
    CustomerSessionAuthentication,
    CustomerTokenAuthentication,
    HasScope,
    IsCustomer,
)
from counter.api.errors import ApiError, tell_standing
from counter.api.signed_requests import SignedRequestAuthentication

T = TypeVar("T")


class CustomerView(APIView):
    """A view for one customer, who is known when the handler runs."""

    authentication_classes = [
        SignedRequestAuthentication,
        CustomerTokenAuthentication,
        CustomerSessionAuthentication,
    ]
    permission_classes = [IsCustomer, HasScope]
    unpaced_methods: tuple[str, ...] = ()  # that do not count against the customer's requests a second
    _standing: Standing | None = None

    @property
    def customer_id(self) -> int:
        """Id of the customer who asks."""
        return self.request.user.customer_id  # type: ignore[union-attr]

    def check_throttles(self, request: Request) -> None:
        """Take the request's signature, and one request of what its customer and key have left.

        Raises: AdmissionRefused; GateFull, OutcomeUnknown.
        """
        caller: Any = request.user
        use = request.auth if isinstance(request.auth, SignatureUse) else None
        asking = asking_of(caller, use, counts=request.method not in self.unpaced_methods)
        if asking.use or asking.limits:
            self._standing = admissions.admit(asking)

    def finalize_response(self, *arguments: Any, **named: Any) -> Any:
        """With where the limits stand."""
        response = super().finalize_response(*arguments, **named)
        if self._standing is not None:
            tell_standing(response, self._standing)
        return response


def asking_of(caller: Caller, use: SignatureUse | None, *, counts: bool) -> Asking:
    """What has to be asked before a request is carried out; `counts` against the requests of its customer."""
    limits = caller.limits
    if counts and caller.customer_id is not None:
        limits += (
            of_customer(
                caller.customer_id,
                per_second=settings.REQUESTS_PER_SECOND,
                at_once=settings.REQUESTS_AT_ONCE,
            ),
        )
    return Asking(use, limits)


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
    names = {field.encode_name: field.name for field in structs.fields(asked)}  # type: ignore[arg-type]
    for name in parameters:
        if getattr(asked, names[name]) is None:  # the text "null" reads as None
            raise ApiError("invalid_request", "null is no value", path=f"$.{name}")
    return asked


def _invalid(error: msgspec.ValidationError) -> ApiError:
    message, found, path = str(error).partition(" - at `")
    return ApiError("invalid_request", message, **({"path": path.rstrip("`")} if found else {}))
