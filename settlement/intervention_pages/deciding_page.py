"""Deciding what somebody else has asked for, on the page of the intervention, beside what it would change now."""

from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.urls import reverse

from infra.admin.decisions import APPROVE, REJECT, as_decision, decision_of, person
from infra.coordination import clock
from settlement.intervention_pages.operating import page_of
from settlement.intervention_pages.timed_venue import TimedVenue, venue, warm_up_soon
from settlement.interventions import deciding
from settlement.interventions.terms import Refused, as_given
from settlement.models import Intervention

STEPS: dict[str, Any] = {APPROVE: Intervention.apply, REJECT: Intervention.reject}


def shown(request: HttpRequest, made: Intervention) -> dict[str, Any]:
    """What the page of an intervention shows beside its columns."""
    operation = deciding.operation_of(made)
    context: dict[str, Any] = {
        **as_decision(request, made, approving=STEPS[APPROVE]),
        "operation": operation,
        "terms": made.terms,  # as they are stored: amounts as text
        "subject_page": page_of(made.subject, made.subject_id),
    }
    if context["waits"]:
        warm_up_soon()
        try:
            terms = as_given(operation.terms, made.terms)
            if deciding.has_moved(made):
                raise Refused(f"{deciding.MOVED}: the request is void")
            context["effects"] = deciding.preview(
                operation=operation, row_id=made.subject_id, terms=terms, now=clock.of("desk").now()
            )
        except Refused as refusal:
            context["problem"] = str(refusal)
    return context


def decide(request: HttpRequest, intervention_id: int) -> HttpResponse:
    """Approve, reject or withdraw. Approving and rejecting need the approver's permission, withdrawing the request."""
    if request.method != "POST":
        return HttpResponseNotAllowed(["POST"])
    made = get_object_or_404(Intervention, pk=intervention_id)
    step, note = decision_of(request, made, STEPS)
    by, now, asked = person(request), clock.of("desk").now(), TimedVenue(venue)
    try:
        if step == APPROVE:
            made = deciding.approve(intervention_id=made.pk, by=by, note=note, venue=asked.venue, now=now)
        else:
            made = deciding.reject(intervention_id=made.pk, by=by, note=note, now=now)
    except Refused as refusal:
        messages.error(request, f"Intervention {intervention_id}: {refusal}.")
    else:
        messages.success(request, f"Intervention {made.pk} is {made.get_state_display().lower()}. {asked}")
    response = HttpResponseRedirect(reverse("admin:settlement_intervention_change", args=[intervention_id]))
    asked.tell(response)
    return response
