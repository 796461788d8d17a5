"""What a request carries, read strictly by msgspec: bodies by REST framework's parser, queries by the views."""

from collections.abc import Mapping
from typing import Any, TypeVar

import msgspec
from django.http import HttpRequest
from msgspec import structs
from rest_framework.parsers import BaseParser
from rest_framework.request import Request

from counter.api.errors import ApiError

T = TypeVar("T")


class MessageParser(BaseParser):
    """The one parser: JSON in UTF-8, not packed, as the message that the view's `read` makes of it.

    It says itself, exactly, what it takes (`counter.api.negotiation`). Why msgspec: it reads decimals without a float,
    refuses unknown fields, and what decodes a message also describes it in the schema.
    """

    media_type = "application/json"

    def parse(
        self, stream: Any, media_type: str | None = None, parser_context: Mapping[str, Any] | None = None
    ) -> Any:
        """The message. Reads the request's body, not its stream, which has no longest size.

        Raises: ApiError; RequestDataTooBig.
        """
        assert parser_context is not None  # noqa: S101 - REST framework gives it
        return parser_context["view"].read(_body_of(parser_context["request"]._request))


def _body_of(request: HttpRequest) -> bytes:
    charset = (request.content_params or {}).get("charset", "utf-8")
    packed = request.headers.get("Content-Encoding", "identity")
    if (
        request.content_type != "application/json"
        or charset.lower() != "utf-8"
        or packed.lower() != "identity"
    ):
        raise ApiError("unsupported_media_type")
    return request.body


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


def query_of(request: Request, kind: type[T]) -> T:
    """Query parameters as a message; unknown ones are refused, and those that are given twice.

    Raises: ApiError.
    """
    parameters: Any = request.query_params
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
    if not found:
        return ApiError("invalid_request", message)
    return ApiError("invalid_request", message, path=path.rstrip("`"))
