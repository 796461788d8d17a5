"""The pages of the days' closes: the last days, one day as it was stated, and its file."""

from collections.abc import Iterator
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db import Error
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect, StreamingHttpResponse
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.views.decorators.http import require_POST, require_safe

from cockpit import charts, day_parquet, day_work, days, venue_statement
from cockpit.dashboard import Bar, Row
from cockpit.day_files import TABLES, csv_of
from cockpit.day_lines import account_lines, amount_text, cost_lines, customer_lines, venue_fact
from cockpit.models import DayClose, DayStatement, DayWork
from cockpit.numbers import age_text
from infra.coordination import clock
from infra.db.transient_errors import is_transient, leave_session
from settlement.reconciliation.venue_differences import LINES_SHOWN

DAYS_SHOWN = 14
NOTE_CHARACTERS = 2000
KINDS = {"csv": "text/csv; charset=utf-8", "parquet": "application/vnd.apache.parquet"}
NOT_HERE = (
    "The database does not answer, or the day is too large to be read here: take manage.py day_files.\n"
)
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
        "accounts": list(map(Row, account_lines(content["accounts"]))),
        "trial": [
            Row((book, asset, *map(amount_text, amounts))) for book, asset, *amounts in content["trial"]
        ],
        "results": [_result(*line) for line in content["results"]],
        "customers": list(map(Row, customer_lines(content.get("customers", [])))),
        "venue": venue_fact(statement.day),
        "files": list(TABLES),
        "parquet_missing": "" if day_parquet.is_there() else day_parquet.MISSING,
        "costs": list(map(Row, cost_lines(content.get("costs", [])))),
        "venue_told": list(map(Row, venue_statement.told_lines(content))),
        "venue_sums": list(map(Row, venue_statement.sum_lines(content))),
        "venue_lines": content.get("venue_lines", []),
        "venue_open": venue_statement.unexplained(content),
        "most_lines": LINES_SHOWN,
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


@require_safe
def pdf(request: HttpRequest, pk: int) -> HttpResponse:
    """What the page says, to print and to keep."""
    from cockpit import days_pdf  # loads reportlab: 0.1 s, for those who make one

    _need(request, SEE)
    statement = get_object_or_404(DayStatement, pk=pk)
    closed = DayClose.objects.filter(statement=statement).first()
    now = clock.of("default").now()
    answer = HttpResponse(days_pdf.pdf(statement, closed, now=now), content_type="application/pdf")
    answer["Content-Disposition"] = f'attachment; filename="close-{statement.day}.pdf"'
    return answer


@require_safe
def rows(request: HttpRequest, pk: int, name: str, kind: str) -> HttpResponse | StreamingHttpResponse:
    """The rows behind a statement as one of the day's files, in constant memory."""
    _need(request, SEE)
    statement = get_object_or_404(DayStatement.objects.only("day", "digest"), pk=pk)
    table = TABLES.get(name)
    if table is None or kind not in KINDS:
        raise Http404
    try:
        content: Iterator[Any] = (
            day_parquet.parquet_of(table, statement.day, about={"statement": statement.digest})
            if kind == "parquet"
            else csv_of(table, statement.day)
        )
    except day_parquet.ParquetMissing as missing:
        return HttpResponse(f"{missing}\n", status=501, content_type="text/plain; charset=utf-8")
    except Error as error:
        if not is_transient(error):
            raise
        leave_session(error)
        return HttpResponse(NOT_HERE, status=503, content_type="text/plain; charset=utf-8")
    answer = StreamingHttpResponse(content, content_type=KINDS[kind])
    answer["Content-Disposition"] = f'attachment; filename="{statement.day}-{name}.{kind}"'
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
        day_work.ask_close(
            statement=statement,
            by=request.user.get_username(),
            now=clock.of("default").now(),
            note=request.POST.get("note", "")[:NOTE_CHARACTERS],
        )
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


def _result(cause: str, coin: str, asset: str, amount: str) -> Row:
    return Row((cause, coin or "–", asset, amount_text(amount)), level="loss" if Decimal(amount) < 0 else "")
