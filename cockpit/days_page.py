"""The pages of the days' closes: the last days, one day as it was stated, and its file."""

from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, StreamingHttpResponse
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.views.decorators.http import require_POST, require_safe

from cockpit import charts, day_work, days
from cockpit.dashboard import Bar, Row
from cockpit.models import DayClose, DayStatement, DayWork
from cockpit.numbers import age_text, exact_text
from infra.coordination import clock

DAYS_SHOWN = 14
CUSTOMERS_SHOWN = 15
SEE, MAKE, CLOSE = "cockpit.view_daystatement", "cockpit.make_daystatement", "cockpit.approve_dayclose"


def _need(request: HttpRequest, permission: str) -> None:
    if not request.user.has_perm(permission):
        raise PermissionDenied


@require_safe
def show_days(request: HttpRequest) -> HttpResponse:
    """The last days that are over, and how far each has come."""
    _need(request, SEE)
    now = clock.of("default").now()
    today = now.date()
    shown = [today - timedelta(days=back) for back in range(1, DAYS_SHOWN + 1)]
    statements = {
        each.day: each for each in DayStatement.objects.filter(day__in=shown).order_by("id").defer("content")
    }
    closes = {each.day: each for each in DayClose.objects.filter(day__in=shown)}
    works = day_work.under_way()
    # Of each day the last one that was asked for counts.
    newest = {each.day: each for each in DayWork.objects.filter(day__in=shown).order_by("id")}
    context = {
        **admin.site.each_context(request),
        "title": "Close of the day",
        "days": [(day, statements.get(day), closes.get(day), works.get(day)) for day in shown],
        "bars": [_bar(each, now) for each in works.values()],
        "refused": [each for each in newest.values() if each.refusal],
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
    work = day_work.latest(statement.day)
    is_going_on = work is not None and work.ended_at is None
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
        "customers": _customers(content.get("customers", [])),
        "customers_in_all": len({customer for customer, *_ in content.get("customers", [])}),
        "balances": days.balances(content),
        "bar": _bar(work, clock.of("default").now()) if work and is_going_on else None,
        "refusal": work.refusal if work and work.statement_id == statement.pk else "",
        "may_close": closed is None
        and not is_going_on
        and request.user.has_perm(CLOSE)
        and request.user.get_username() != statement.made_by,
    }
    return render(request, "cockpit/day.html", context)


@require_safe
def show_bar(request: HttpRequest, pk: int) -> HttpResponse:
    """How far the worker is, without what was stated; once that is over the whole page is loaded anew."""
    _need(request, SEE)
    statement = get_object_or_404(DayStatement.objects.only("day"), pk=pk)
    work = day_work.latest(statement.day)
    if work is None or work.ended_at is not None:
        return HttpResponse(headers={"HX-Refresh": "true"})
    context = {"statement": statement, "bar": _bar(work, clock.of("default").now())}
    return render(request, "cockpit/day_bar.html", context)


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
    """Have a day stated by a worker."""
    _need(request, MAKE)
    try:
        day = date.fromisoformat(request.POST.get("day", ""))
        day_work.ask_statement(day=day, by=request.user.get_username(), now=clock.of("default").now())
    except (ValueError, OverflowError) as refusal:  # the last day of the calendar has no end
        messages.error(request, f"Not done: {refusal}.")
    return HttpResponseRedirect(reverse("days"))


@require_POST
def close(request: HttpRequest, pk: int) -> HttpResponse:
    """Have the day of a statement closed by a worker, as the second person."""
    _need(request, CLOSE)
    statement = get_object_or_404(DayStatement, pk=pk)
    try:
        day_work.ask_close(statement=statement, by=request.user.get_username(), now=clock.of("default").now())
    except days.DayRefused as refusal:
        messages.error(request, f"Not done: {refusal}.")
    return HttpResponseRedirect(reverse("day", args=[pk]))


def _bar(work: DayWork, now: datetime) -> Bar:
    """How far a worker is: steps that are done, what is read now, and for how long."""
    steps = len(days.STEPS)
    if work.stepped_at is None:
        note = f"waits for a worker for {age_text(max((now - work.asked_at).total_seconds(), 0))}"
    else:
        seconds = max((now - work.stepped_at).total_seconds(), 0)
        doing = days.STEPS[work.step] if work.step < steps else "keeping it"
        note = f"{doing}, for {age_text(seconds)}"
    return Bar(
        name=f"{work.day}: {work.get_kind_display()}, asked for by {work.asked_by}",
        value=f"{work.step} of {steps}",
        percent=charts.share_percent(Decimal(work.step), Decimal(steps)),
        note=note,
        level="normal",
    )


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


def _customers(rows: list[list[str]]) -> list[Row]:
    """Those who brought or cost most; the file has each."""
    largest = sorted(rows, key=lambda row: -abs(Decimal(row[-1])))[:CUSTOMERS_SHOWN]
    return [
        Row(
            (customer or "–", coin or "–", asset, _amount(amount)),
            level="loss" if Decimal(amount) < 0 else "",
        )
        for customer, coin, asset, amount in largest
    ]


def _amount(text: Any) -> str:
    return exact_text(Decimal(text))
