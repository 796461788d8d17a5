"""`/staff/v1/`: risk, balances and closed days, for who shows a staff key and may see the page of the same."""

from datetime import date
from typing import Any, ClassVar

from django.http import StreamingHttpResponse
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.authentication import BaseAuthentication, get_authorization_header
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.permissions import BasePermission
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.throttling import BaseThrottle

from cockpit import balances, day_parquet, staff_keys
from cockpit.api import bodies
from cockpit.api.messages import BalancesBody, BookRiskBody, ClosedDayBody, ClosedDays
from cockpit.balances_page import NEEDED as SEE_BALANCES
from cockpit.day_files import TABLES, csv_of
from cockpit.days_page import KINDS
from cockpit.days_page import SEE as SEE_DAYS
from cockpit.models import DayClose, StaffKey
from cockpit.risk import shared_risk
from cockpit.risk_page import SEE_POSITIONS
from counter.access.admission import Asking, admissions
from counter.access.rate_limit import LimitStatus, of_staff_key
from counter.api.errors import ApiError, tell_standing
from counter.api.openapi import answers
from counter.api.views import ApiView
from infra.coordination import clock

DAYS_A_PAGE = 100
# Of each key.
REQUESTS_PER_SECOND = 10
REQUESTS_AT_ONCE = 40
_ERRORS = (
    *("not_authenticated", "authentication_failed", "permission_denied", "throttled"),
    *("method_not_allowed", "not_acceptable", "internal_error", "overloaded", "unavailable"),
)
_DAY = OpenApiParameter("day", OpenApiTypes.DATE, OpenApiParameter.PATH)


class StaffKeyAuthentication(BaseAuthentication):
    """`Authorization: StaffKey staff_...`."""

    keyword = "StaffKey"

    def authenticate(self, request: Request) -> tuple[Any, StaffKey] | None:
        """The member of staff and the key; None without such a header. Raises: AuthenticationFailed; DatabaseError."""
        parts = get_authorization_header(request).decode("latin-1").split()
        if not parts or parts[0].lower() != self.keyword.lower():
            return None
        key = staff_keys.good_key(parts[1], now=clock.of("default").now()) if len(parts) == 2 else None
        if key is None:
            raise AuthenticationFailed("the staff key is not valid")
        return key.user, key

    def authenticate_header(self, request: Request) -> str:
        return self.keyword


class StaffKeyScheme(OpenApiAuthenticationExtension):
    """Describes the header."""

    target_class = StaffKeyAuthentication
    name = "staffKey"

    def get_security_definition(self, auto_schema: Any) -> dict[str, Any]:
        """One header."""
        return {
            "type": "apiKey",
            "in": "header",
            "name": "Authorization",
            "description": "`StaffKey ` and the key that `manage.py staff_key` has printed.",
        }


class MaySee(BasePermission):
    """Lets in who may see the page of the same in the admin."""

    def has_permission(self, request: Request, view: Any) -> bool:
        return bool(request.user and request.user.is_authenticated and request.user.has_perms(view.sees))


class StaffThrottle(BaseThrottle):
    """Takes one request of what the key has left, and tells the view where that stands."""

    def allow_request(self, request: Request, view: Any) -> bool:
        """True: what is not let through is raised. Raises: AdmissionRefused; QueueFull, OutcomeUnknown."""
        key: Any = request.auth
        limit = of_staff_key(key.pk, per_second=REQUESTS_PER_SECOND, at_once=REQUESTS_AT_ONCE)
        view.standing = admissions.admit(Asking(limits=(limit,)))
        return True


class StaffView(ApiView):
    """A view for a program of staff; it reads, and `sees` what its permissions name."""

    authentication_classes = [StaffKeyAuthentication]
    permission_classes = [MaySee]
    throttle_classes = [StaffThrottle]
    http_method_names = ["get", "head"]
    sees: ClassVar[tuple[str, ...]]
    standing: LimitStatus | None = None  # of the key's limit, once it was asked

    def finalize_response(self, *arguments: Any, **named: Any) -> Any:
        """With where the limit stands."""
        response = super().finalize_response(*arguments, **named)
        if self.standing is not None:
            tell_standing(response, self.standing)
        return response


class RiskView(StaffView):
    """The option book's risk."""

    sees = (SEE_POSITIONS,)

    @extend_schema(
        operation_id="read_book_risk",
        tags=["risk"],
        responses=answers(_ERRORS, {200: BookRiskBody}),
        summary="Read the option book's greeks and scenarios",
    )
    def get(self, request: Request) -> Response:
        """By coin, expiry, series and in all, and what moves of prices and volatilities would bring."""
        return Response(bodies.risk(shared_risk.current(now=clock.of("default").now())))


class BalancesView(StaffView):
    """What is owed and held."""

    sees = SEE_BALANCES

    @extend_schema(
        operation_id="read_balances",
        tags=["balances"],
        responses=answers(_ERRORS, {200: BalancesBody}),
        summary="Read what the exchange owes and holds",
    )
    def get(self, request: Request) -> Response:
        """From both books, with the venue's wallets against their bands and what falls due by expiry."""
        now = clock.of("default").now()
        return Response(bodies.balances(balances.read(risk=shared_risk.current(now=now), now=now)))


class DaysView(StaffView):
    """Closed days."""

    sees = (SEE_DAYS,)

    @extend_schema(
        operation_id="list_closed_days",
        tags=["days"],
        parameters=[OpenApiParameter("before", OpenApiTypes.DATE, description="Only days before it.")],
        responses=answers((*_ERRORS, "invalid_request"), {200: ClosedDays}),
        summary="List closed days, newest first",
    )
    def get(self, request: Request) -> Response:
        """A hundred of them; `next_before` is the `before` of the next page."""
        rows = DayClose.objects.select_related("statement").defer("statement__content").order_by("-day")
        if unknown := set(request.query_params) - {"before"}:
            raise ApiError("invalid_request", f"unknown: {', '.join(sorted(unknown))}"[:200])
        if before := request.query_params.get("before"):
            rows = rows.filter(day__lt=_day(before, code="invalid_request"))
        found = list(rows[: DAYS_A_PAGE + 1])
        page = found[:DAYS_A_PAGE]
        more = page[-1].day if len(found) > DAYS_A_PAGE else None
        return Response(ClosedDays([bodies.closed(each) for each in page], more))


class DayView(StaffView):
    """One closed day."""

    sees = (SEE_DAYS,)

    @extend_schema(
        operation_id="read_closed_day",
        tags=["days"],
        parameters=[_DAY],
        responses=answers((*_ERRORS, "not_found"), {200: ClosedDayBody}),
        summary="Read a closed day with its accounts, results and files",
    )
    def get(self, request: Request, day: str) -> Response:
        """What two people closed, every digit of it."""
        return Response(bodies.closed_day(_closed(day)))


class DayFileView(StaffView):
    """A file of a closed day."""

    sees = (SEE_DAYS,)

    @extend_schema(
        operation_id="download_day_file",
        tags=["days"],
        parameters=[
            _DAY,
            OpenApiParameter("name", OpenApiTypes.STR, OpenApiParameter.PATH, enum=sorted(TABLES)),
            OpenApiParameter("kind", OpenApiTypes.STR, OpenApiParameter.PATH, enum=sorted(KINDS)),
        ],
        responses={
            **{(200, kind.partition(";")[0]): OpenApiTypes.BINARY for kind in KINDS.values()},
            **{
                (status, "application/json"): answer
                for status, answer in answers((*_ERRORS, "not_found", "parquet_missing"), {}).items()
            },
        },
        summary="Download the rows behind a closed day",
    )
    def get(self, request: Request, day: str, name: str, kind: str) -> StreamingHttpResponse:
        """Journals, orders, fills, transfers or cash, as CSV or Parquet, in constant memory."""
        closed, table = _closed(day), TABLES.get(name)
        if table is None or kind not in KINDS:
            raise ApiError("not_found")
        if kind == "parquet":
            try:
                content: Any = day_parquet.parquet_of(
                    table, closed.day, about={"statement": closed.statement.digest}
                )
            except day_parquet.ParquetMissing as missing:
                raise ApiError("parquet_missing", str(missing)) from missing
        else:
            content = csv_of(table, closed.day)
        return StreamingHttpResponse(
            content,
            content_type=KINDS[kind],
            headers={"Content-Disposition": f'attachment; filename="{closed.day}-{name}.{kind}"'},
        )


def _closed(day: str) -> DayClose:
    found = DayClose.objects.filter(day=_day(day, code="not_found")).select_related("statement").first()
    if found is None:
        raise ApiError("not_found")
    return found


def _day(text: str, *, code: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise ApiError(code, "a day is written like 2026-11-30") from error
