"""From a row to an intervention: a form, what it would change, and the confirmation of exactly what was shown."""

import hashlib
from dataclasses import dataclass, field
from typing import Any, cast

import msgspec
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect, QueryDict
from django.shortcuts import get_object_or_404, render
from django.template.response import TemplateResponse
from django.urls import reverse

from infra.admin.decisions import person
from infra.coordination import clock
from settlement.intervention_pages.forms import FORMS, TradeFormSet, WhyForm, trades_as_initial
from settlement.intervention_pages.timed_venue import TimedVenue, venue, warm_up_soon
from settlement.interventions import asking, deciding
from settlement.interventions.effects import Effects
from settlement.interventions.operations import SUBJECTS, Operation, Row, state_of
from settlement.interventions.terms import FoundTerms, HoldTerms, OrderTerms, Refused, Terms, as_stored
from settlement.models import Conversion
from settlement.models.history import Subject

TEMPLATE = "settlement/interventions/operate.html"
WORD = "settlement/interventions/word.html"


def page_of(subject: str, row_id: int) -> str:
    """The admin's page of a row."""
    model = SUBJECTS[Subject(subject)]
    return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_change", args=[row_id])


@dataclass(slots=True)
class _Page:
    """What the page shows: the forms as they are, and what came of looking at them."""

    operation: Operation
    row: Row
    form: WhyForm
    trades: Any  # a formset, or None
    effects: Effects | None = None
    shown: str = ""
    problems: list[str] = field(default_factory=list)

    @property
    def reads_from_venue(self) -> bool:
        """Whether the venue may be asked what to fill in."""
        return self.operation.terms is OrderTerms


def operate(request: HttpRequest, site: Any, subject: Subject, row_id: int, kind: str) -> HttpResponse:
    """The page of one operation on one row. Obeys only who has the operation's own permission."""
    operation = deciding.OPERATIONS.get((subject, kind))
    if operation is None:
        raise Http404
    if not request.user.has_perm(operation.permission):
        raise PermissionDenied
    warm_up_soon()
    row: Any = get_object_or_404(SUBJECTS[subject], pk=row_id)
    page, asked = _blank(operation, row), TimedVenue(venue)
    step = request.POST.get("step", "")
    response: HttpResponse | None = None
    if request.method == "POST" and step == "read" and page.reads_from_venue:
        _read(page, asked)
    elif request.method == "POST":
        page = _filled(operation, row, _one_more(request.POST) if step == "add" else request.POST)
        response = _take_step(page, step, request, asked) if step != "add" else None
    if response is None:
        context = {**site.each_context(request), "page": page, "row": row, "title": operation.title}
        response = TemplateResponse(request, TEMPLATE, context | {"back": page_of(subject, row_id)})
    asked.tell(response)
    return response


def _blank(operation: Operation, row: Row, terms: OrderTerms | None = None) -> _Page:
    state, version = state_of(row)
    initial = {"seen_state": state, "seen_version": version}
    if terms is not None:
        initial["venue_order_id"] = terms.venue_order_id
    form = FORMS[operation.terms](operation=operation, initial=initial)
    trades = None
    if operation.terms is OrderTerms:
        trades = TradeFormSet(prefix="trades", initial=trades_as_initial(terms) if terms else None)
    return _Page(operation, row, form, trades)


def _filled(operation: Operation, row: Row, data: Any) -> _Page:
    trades = TradeFormSet(data, prefix="trades") if operation.terms is OrderTerms else None
    return _Page(operation, row, FORMS[operation.terms](data, operation=operation), trades)


def _one_more(data: QueryDict) -> QueryDict:
    """The same with a blank trade added."""
    more = data.copy()
    total = more.get("trades-TOTAL_FORMS", "")
    more["trades-TOTAL_FORMS"] = str(int(total) + 1 if total.isdecimal() else 1)
    return more


def _read(page: _Page, asked: TimedVenue) -> None:
    """Fill the form in with what the venue shows."""
    try:
        terms = asking.propose(cast(Conversion, page.row), asked.venue, clock.of("desk").now())
    except Refused as refusal:
        page.problems.append(str(refusal))
        return
    filled = _blank(page.operation, page.row, terms)
    page.form, page.trades = filled.form, filled.trades


def _take_step(page: _Page, step: str, request: HttpRequest, asked: TimedVenue) -> HttpResponse | None:
    """Show what it would change, have the venue's word, or do it if it was shown; None leaves the page as it is."""
    if not page.form.is_valid() or not (page.trades is None or page.trades.is_valid()):
        return None
    try:
        terms = _terms(page)
        page.shown = _digest(terms, page.form.cleaned_data)
        if step == "confirm" and request.POST.get("shown") == page.shown:
            return _request(page, terms, request, asked)
        if step == "word":
            return _word(page, terms, request, asked)
        _show(page, terms)
    except Refused as refusal:
        page.problems.append(str(refusal))
    return None


def _terms(page: _Page) -> Terms:
    if page.operation.terms is OrderTerms:
        trades = tuple(form.trade() for form in page.trades if form.has_changed())
        return OrderTerms(venue_order_id=page.form.cleaned_data["venue_order_id"], trades=trades)
    if page.operation.terms is FoundTerms:
        return FoundTerms(venue_transfer_id=page.form.cleaned_data["venue_transfer_id"])
    if page.operation.terms is HoldTerms:
        named = page.form.cleaned_data["conversions"].split(",")
        return HoldTerms(conversions=tuple(sorted({int(number) for number in named})))
    return Terms()


def _digest(terms: Terms, said: dict[str, Any]) -> str:
    """What was shown, so that nothing else is confirmed: after a change of a field it is shown anew."""
    seen = [as_stored(terms), said["seen_state"], said["seen_version"]]
    return hashlib.sha256(msgspec.json.encode(seen)).hexdigest()


def _show(page: _Page, terms: Terms) -> None:
    now = clock.of("desk").now()
    page.effects = deciding.preview(operation=page.operation, row_id=page.row.pk, terms=terms, now=now)


def _word(page: _Page, terms: Terms, request: HttpRequest, asked: TimedVenue) -> HttpResponse:
    """What the venue says to it, for the page that is there already: confirming asks once more."""
    said: dict[str, Any] = {"asked": asked}
    try:
        said["word"] = deciding.ask(
            operation=page.operation,
            row_id=page.row.pk,
            terms=terms,
            venue=asked.venue,
            now=clock.of("desk").now(),
        )
    except Refused as refusal:
        said["problem"] = str(refusal)
    return render(request, WORD, said)


def _request(page: _Page, terms: Terms, request: HttpRequest, asked: TimedVenue) -> HttpResponse:
    said = page.form.cleaned_data
    made = deciding.request(
        operation=page.operation,
        row_id=page.row.pk,
        seen=(said["seen_state"], said["seen_version"]),
        terms=terms,
        reason=said["reason"],
        evidence=said.get("evidence", ""),
        by=person(request),
        venue=asked.venue,
        now=clock.of("desk").now(),
    )
    if page.operation.needs_two:
        messages.success(request, f"Intervention {made.pk} waits for another person's approval. {asked}")
        return HttpResponseRedirect(reverse("admin:settlement_intervention_change", args=[made.pk]))
    messages.success(request, f"Done: intervention {made.pk}. {asked}")
    return HttpResponseRedirect(page_of(page.operation.subject, page.row.pk))
