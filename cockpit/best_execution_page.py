"""The page "Best execution": what conversions gained or lost against three prices of the market, and its file."""

from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from typing import Any
from urllib.parse import urlencode

import structlog
from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db import Error
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_safe

from cockpit import best_execution, charts
from cockpit.best_execution import Sums
from cockpit.numbers import decimal_text, exact_text, small_usdt_text, usdt_text
from infra.coordination import clock
from infra.db.transient_errors import is_transient, leave_session, sqlstate
from settlement.conversions.execution.gains import Gain
from settlement.models import Execution

log = structlog.get_logger(__name__)

SEE = "settlement.view_conversion"
DAYS_SHOWN = 7
DAYS_AT_MOST = 92
WORST_SHOWN = 10
NOTHING = "–"
CANCELED = "57014"  # by the bound on how long a statement may take
TOO_MUCH = "Too much to add up at once: fewer days"
NO_ANSWER = "The desk's database does not answer: look again in a moment"


@dataclass(frozen=True, slots=True)
class Measured:
    """A gain as two lines: basis points, and beneath them USDT and of how many conversions it is, if not of all."""

    bps: str
    note: str
    level: str


@dataclass(frozen=True, slots=True)
class Line:
    """A row of sums, or one conversion with a link to it."""

    name: str
    coin: str
    cells: tuple[str, ...]
    gains: list[Measured]
    url: str = ""


@require_safe
def show(request: HttpRequest) -> HttpResponse:
    """The page, of the days `from` to `to`; the last seven unless they are given."""
    _need(request)
    first, last, refusal = _days(request)
    try:
        sums = best_execution.by_day(first=first, last=last)
        worst = best_execution.worst(first=first, last=last, count=WORST_SHOWN)
    except Error as error:
        if not is_transient(error):
            raise
        log.warning("executions cannot be shown", first=str(first), last=str(last), error=repr(error))
        leave_session(error)
        sums, worst, refusal = [], [], TOO_MUCH if sqlstate(error) == CANCELED else NO_ANSWER
    context: dict[str, Any] = {
        **admin.site.each_context(request),
        "title": "Best execution",
        "first": first,
        "last": last,
        "refusal": refusal,
        "days": [_line(each, str(each.day)) for each in sums],
        "totals": [_line(each, "all days") for each in best_execution.in_all(sums)],
        "worst": [_worst(each) for each in worst],
        "awaited": sum(each.awaited for each in sums),
        "file": f"{reverse('best_execution_file')}?{urlencode({'from': first, 'to': last})}",
    }
    return render(request, "cockpit/best_execution.html", context)


@require_safe
def file(request: HttpRequest) -> HttpResponse | StreamingHttpResponse:
    """Each conversion of those days as CSV; as long as there are some, in constant memory."""
    _need(request)
    first, last, refusal = _days(request)
    if refusal:
        return HttpResponse(f"{refusal}\n", status=400, content_type="text/plain; charset=utf-8")
    answer = StreamingHttpResponse(
        best_execution.file_of(first=first, last=last), content_type="text/csv; charset=utf-8"
    )
    answer["Content-Disposition"] = f'attachment; filename="best-execution-{first}-{last}.csv"'
    return answer


def _need(request: HttpRequest) -> None:
    if not request.user.has_perm(SEE):
        raise PermissionDenied


def _days(request: HttpRequest) -> tuple[date, date, str]:
    """From and to, both included, and what is wrong with those that were asked for."""
    today = clock.of("default").now().date()
    usual = today - timedelta(days=DAYS_SHOWN - 1), today
    try:
        last = date.fromisoformat(request.GET.get("to") or str(today))
        begins = request.GET.get("from") or str(min(usual[0], last))
        first = date.fromisoformat(begins)
    except ValueError:
        return *usual, "A day is written like 2026-11-30"
    if not date(2000, 1, 1) <= first <= last <= today:
        return *usual, "The first day is not before the last, and none is to come"
    if last - first >= timedelta(days=DAYS_AT_MOST):
        return *usual, f"{DAYS_AT_MOST} days at most"
    return first, last, ""


def _line(sums: Sums, name: str) -> Line:
    return Line(
        name,
        sums.coin,
        (f"{sums.conversions:,}", exact_text(sums.amount), usdt_text(sums.usdt)),
        [_measured(each, sums.conversions) for each in sums.gains.values()],
    )


def _worst(row: Execution) -> Line:
    share = charts.share_percent(row.coin, row.minute_coin) if row.minute_coin else None
    return Line(
        f"{row.side} {exact_text(row.coin)}",
        row.underlying,
        (
            f"{row.minute:%Y-%m-%d %H:%M}",
            exact_text(best_execution.price_of(row)),
            NOTHING if share is None else f"{decimal_text(share, 1)} %",
        ),
        [_measured(each, 1) for each in best_execution.gains_of(row).values()],
        reverse("admin:settlement_conversion_change", args=[row.conversion_id]),
    )


def _measured(gained: Gain | None, conversions: int) -> Measured:
    points = gained.basis_points if gained else None
    if gained is None or points is None:
        return Measured(NOTHING, "", "")
    of = "" if gained.conversions == conversions else f" of {gained.conversions:,}"
    text = f"{points + Decimal(0):,.2f}".replace("-", "−")
    return Measured(text, f"{small_usdt_text(gained.usdt)} USDT{of}", "loss" if points < 0 else "")
