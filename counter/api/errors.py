"""Errors as the API answers them: one shape for all, with a stable code from `counter.api.codes`."""

import sys
from decimal import Decimal
from typing import Annotated, Any

import msgspec
import structlog
from django.conf import settings
from django.core.exceptions import PermissionDenied, RequestDataTooBig, SuspiciousOperation
from django.db import DataError
from django.http import Http404, HttpRequest, HttpResponse
from django.views import defaults
from msgspec import Meta
from rest_framework import exceptions

from counter.access.admission import Replayed, TooFast
from counter.access.rate_limit import LimitStatus
from counter.access.webhook_endpoints import EndpointRefused
from counter.api.answers import JsonAnswer, json_message
from counter.api.codes import CODES
from counter.api.fields import usdt
from counter.limits.reached import Reached
from counter.limits.refusals import TooManyRefusals
from counter.money.cash import AccountError
from counter.orders.requests import RejectCode, Rejected
from infra.coordination.group_queue import OutcomeUnknown, QueueFull
from infra.db.transient_errors import is_transient, leave_session
from infra.http_server.bodies import BodyLate, TooManyBodies

log = structlog.get_logger(__name__)

TOO_MANY_REFUSALS = Rejected(RejectCode.TOO_MANY_ORDERS, "too many of the customer's orders were refused")
# What people are told; whether it was done is for the page that they come from to say.
_CANNOT_NOW = {
    "title": "Not now",
    "details": "The database does not answer at the moment. Please try again.",
}
CHALLENGE = "ApiKey, Token"  # by what customers' programs say who they are


_AMOUNT = "USDT with 6 decimals, or a whole number of what is limited."


class Problem(msgspec.Struct, omit_defaults=True):
    """`code` is stable and for programs, `message` for people, `detail` says where in the request.

    Of an order that was refused `final` says whether that holds for every outcome of earlier attempts with its
    client_order_id; if not, those are over in `final_after_ms`.
    Of one that goes beyond a limit `field`, `limit` and `left` say of what, how much it is, and how much there is left.
    """

    code: str
    message: str
    detail: dict[str, str] | None = None
    final: bool | None = None
    final_after_ms: int | None = None
    field: Annotated[
        str | None,  # and no enum: one may be added
        Meta(
            description="What is limited: `contracts`, `notional` (USDT), `orders_per_s`, `balance` (USDT), `quotes`, "
            "`quotes_notional` (USDT), `orders`, `body_bytes` or `streams`; others may be added.",
            examples=["contracts"],
        ),
    ] = None
    limit: Annotated[
        str | None,
        Meta(
            description=f"{_AMOUNT} Left out of `series_limit` and `insufficient_balance`.", examples=["5000"]
        ),
    ] = None
    left: Annotated[
        str | None,
        Meta(description=f"{_AMOUNT} For one more, when this one was decided.", examples=["120"]),
    ] = None


class ErrorBody(msgspec.Struct):
    """What every answer of 400 and above carries."""

    error: Problem


class ApiError(Exception):
    """A request that is answered with an error; `code` is one of `CODES`."""

    def __init__(self, code: str, message: str = "", reached: Reached | None = None, **detail: str) -> None:
        super().__init__(message or CODES[code].meaning)
        self.code = code
        self.reached = reached
        self.detail = detail


def error_message(
    code: str, message: str = "", detail: dict[str, str] | None = None, reached: Reached | None = None
) -> JsonAnswer:
    """The one error shape, with the status and Retry-After of its code."""
    return _message(_limited(Problem(code, message or CODES[code].meaning, detail or None), reached))


def _message(problem: Problem) -> JsonAnswer:
    known = CODES[problem.code]
    headers = {} if known.retry_after_seconds is None else {"Retry-After": str(known.retry_after_seconds)}
    return json_message(ErrorBody(error=problem), status=known.status, headers=headers)


def error_answer(
    code: str, message: str = "", detail: dict[str, str] | None = None, reached: Reached | None = None
) -> HttpResponse:
    """The one error shape as a response."""
    return error_message(code, message, detail, reached).response()


def tell_standing(answer: JsonAnswer | HttpResponse, standing: LimitStatus) -> None:
    """Say in an answer's headers where a limit stands."""
    answer.headers["RateLimit-Limit"] = str(standing.limit)
    answer.headers["RateLimit-Remaining"] = str(standing.remaining)
    answer.headers["RateLimit-Reset"] = str(standing.reset_seconds)


def _throttled(standing: LimitStatus) -> HttpResponse:
    response = error_answer("throttled")
    response.headers["Retry-After"] = str(standing.retry_after_seconds)
    tell_standing(response, standing)
    return response


def refusal_of(rejected: Rejected) -> Problem:
    """A refused order, with whether that is the last word: docs/decisions/deadlines.md says why it may not be."""
    problem = Problem(rejected.code, rejected.message, rejected.detail, final=CODES[rejected.code].final)
    if not problem.final:
        problem.final_after_ms = round(settings.ORDER_WITHIN_SECONDS * 1000)
    return _limited(problem, rejected.reached)


def _limited(problem: Problem, reached: Reached | None) -> Problem:
    """With the limit that was reached, if there is one."""
    if reached is not None:
        problem.field, problem.left = reached.field, _told(reached.left)
        problem.limit = None if reached.limit is None else _told(reached.limit)
    return problem


def _told(amount: int | Decimal) -> str:
    return usdt(amount) if isinstance(amount, Decimal) else str(amount)


def refusal_message(rejected: Rejected) -> JsonAnswer:
    """A refused order as an answer."""
    return _message(refusal_of(rejected))


def answer(error: Exception, context: dict[str, Any]) -> HttpResponse:
    """REST framework's exception handler: no exception leaves the API in any other shape."""
    if isinstance(error, ApiError):
        response = error_answer(error.code, str(error), error.detail, error.reached)
        if challenge := getattr(error, "auth_header", None):
            response["WWW-Authenticate"] = challenge
        return response
    if isinstance(error, AccountError):
        return error_answer(error.code, str(error), reached=error.reached)
    if isinstance(error, EndpointRefused):
        return error_answer(error.code, str(error))
    if isinstance(error, exceptions.APIException):
        return _framework_answer(error)
    if isinstance(error, Replayed):
        return error_answer("signature_replayed")
    if isinstance(error, TooFast):
        return _throttled(error.standing)
    if isinstance(error, Http404):
        return error_answer("not_found")
    if isinstance(error, PermissionDenied):
        return error_answer("permission_denied")
    if isinstance(error, RequestDataTooBig):
        longest = settings.DATA_UPLOAD_MAX_MEMORY_SIZE or 0
        return error_answer("body_too_large", reached=Reached("body_bytes", left=longest, limit=longest))
    if isinstance(error, SuspiciousOperation):  # more than a thousand parameters, for instance
        return error_answer("invalid_request")
    if isinstance(error, TooManyRefusals):
        return refusal_message(TOO_MANY_REFUSALS).response()
    if isinstance(error, BodyLate):
        return error_answer("body_late")
    if isinstance(error, TooManyBodies):
        return error_answer("too_many_requests")
    if isinstance(error, QueueFull):
        return error_answer("overloaded")
    if isinstance(error, OutcomeUnknown):
        return error_answer("unavailable")
    if isinstance(error, DataError):
        return error_answer("invalid_request", "a number is larger than what can be stored")
    if is_transient(error):
        return _not_now(error)
    log.exception("unexpected error", exc_info=error)
    return error_answer("internal_error")


def _not_now(error: BaseException) -> HttpResponse:
    """The database cannot do it at present: the next request gets another connection."""
    log.warning("database unavailable", error=repr(error))
    leave_session(error)
    return error_answer("unavailable")


def _framework_answer(error: exceptions.APIException) -> HttpResponse:
    code = error.default_code
    if isinstance(error, exceptions.ParseError):
        code = "malformed_json"
    if code not in CODES:
        code = "invalid_request" if error.status_code < 500 else "internal_error"
    if isinstance(error, exceptions.PermissionDenied) and error.get_codes() in CODES:
        code = str(error.get_codes())
    response = error_answer(code, str(error.detail))
    if challenge := getattr(error, "auth_header", None):
        response["WWW-Authenticate"] = challenge
    if wait := getattr(error, "wait", None):
        response["Retry-After"] = str(int(wait) + 1)
    return response


def unknown_address(request: HttpRequest, **_: str) -> HttpResponse:
    """404 below /api/, /internal/, /wallet/ and /staff/."""
    return error_answer("not_found", f"there is nothing at {request.path}")


def _is_for_programs(request: HttpRequest) -> bool:
    return request.path.startswith(("/api/", "/internal/", "/wallet/", "/staff/"))


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    """What Django refuses before a view is found: 400."""
    if _is_for_programs(request):
        return error_answer("invalid_request")
    return defaults.bad_request(request, exception)


def page_not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    """No address matched: 404."""
    if _is_for_programs(request):
        return unknown_address(request)
    return defaults.page_not_found(request, exception)


def server_error(request: HttpRequest) -> HttpResponse:
    """An error outside of the API's views, in a middleware or a page: 500; 503 if the database cannot do it now."""
    error = sys.exc_info()[1]
    if error is not None and is_transient(error):
        response = _not_now(error)
        if not _is_for_programs(request):
            response.headers["Content-Type"] = "text/html; charset=utf-8"
            response.content = (defaults.ERROR_PAGE_TEMPLATE % _CANNOT_NOW).encode()
        return response
    if _is_for_programs(request):
        return error_answer("internal_error")
    return defaults.server_error(request)
