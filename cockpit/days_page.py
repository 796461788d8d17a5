"""The pages of the days' closes: the last days, one day as it was stated, and its file."""

from datetime import date, timedelta
from decimal import Decimal
from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, StreamingHttpResponse
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.views.decorators.http import require_POST, require_safe

from cockpit import days
from cockpit.dashboard import Row
from cockpit.models import DayClose, DayStatement
from cockpit.numbers import exact_text
from infra.coordination import clock

DAYS_SHOWN = 14
SEE, MAKE, CLOSE = "cockpit.view_daystatement", "cockpit.make_daystatement", "cockpit.approve_dayclose"


def _need(request: HttpRequest, permission: str) -> None:
    if not request.user.has_perm(permission):
        raise PermissionDenied


@require_safe
def show_days(request: HttpRequest) -> HttpResponse:
    """The last days that are over, and how far each has come."""
    _need(request, SEE)
    today = clock.of("default").now().date()
    shown = [today - timedelta(days=back) for back in range(1, DAYS_SHOWN + 1)]
    statements = {
        each.day: each for each in DayStatement.objects.filter(day__in=shown).order_by("id").defer("content")
    }
    closes = {each.day: each for each in DayClose.objects.filter(day__in=shown)}
    context = {
        **admin.site.each_context(request),
        "title": "Close of the day",
        "days": [(day, statements.get(day), closes.get(day)) for day in shown],
        "may_make": request.user.has_perm(MAKE),
    }
    return render(request, "cockpit/days.html", context)


@require_safe
def show_day(request: HttpRequest, pk: int) -> HttpResponse:
    """One statement; customers' accounts are one line, the file has each."""
    _need(request, SEE)
    statement = get_object_or_404(DayStatement, pk=pk)
    closed = DayClose.objects.filter(statement=statement).first()
    content = statement.content
    context = {
        **admin.site.each_context(request),
        "title": f"Close of {statement.day}",
        "statement": statement,
        "closed": closed,
        "accounts": _accounts(content["accounts"]),
        "trial": [Row((book, asset, *map(_amount, amounts))) for book, asset, *amounts in content["trial"]],
        "results": [
            Row((cause, coin or "–", asset, _amount(amount)), level="loss" if Decimal(amount) < 0 else "")
            for cause, coin, asset, amount in content["results"]
        ],
        "balances": days.balances(content),
        "may_close": closed is None
        and request.user.has_perm(CLOSE)
        and request.user.get_username() != statement.made_by,
    }
    return render(request, "cockpit/day.html", context)


@require_safe
def file(request: HttpRequest, pk: int) -> StreamingHttpResponse:
    """The statement as CSV."""
    _need(request, SEE)
    statement = get_object_or_404(DayStatement, pk=pk)
    answer = StreamingHttpResponse(days.file_of(statement), content_type="text/csv; charset=utf-8")
    answer["Content-Disposition"] = f'attachment; filename="close-{statement.day}.csv"'
    return answer


@require_POST
def make(request: HttpRequest) -> HttpResponse:
    """Have a day stated."""
    _need(request, MAKE)
    try:
        day = date.fromisoformat(request.POST.get("day", ""))
        statement = days.state(day=day, by=request.user.get_username(), now=clock.of("default").now())
    except (ValueError, OverflowError) as refusal:  # the last day of the calendar has no end
        messages.error(request, f"Not done: {refusal}.")
        return HttpResponseRedirect(reverse("days"))
    return HttpResponseRedirect(reverse("day", args=[statement.pk]))


@require_POST
def close(request: HttpRequest, pk: int) -> HttpResponse:
    """Close the day of a statement, as the second person."""
    _need(request, CLOSE)
    statement = get_object_or_404(DayStatement, pk=pk)
    try:
        done = days.close(statement=statement, by=request.user.get_username(), now=clock.of("default").now())
    except days.DayRefused as refusal:
        messages.error(request, f"Not done: {refusal}.")
    else:
        messages.success(request, f"{done}.")
    return HttpResponseRedirect(reverse("day", args=[pk]))


def _accounts(rows: list[list[str]]) -> list[Row]:
    """The systems' accounts each, and the customers' in one line."""
    shown, customers = [], [Decimal(0)] * 4
    count = 0
    for book, code, asset, *amounts, _ in rows:
        if book == "counter" and code.startswith("customer:"):
            count += 1
            customers = [total + Decimal(amount) for total, amount in zip(customers, amounts, strict=True)]
        else:
            shown.append(Row((book, code, asset, *map(_amount, amounts))))
    if count:
        shown.insert(0, Row(("counter", f"customers ({count:,})", "USDT", *map(exact_text, customers))))
    return shown


def _amount(text: Any) -> str:
    return exact_text(Decimal(text))
