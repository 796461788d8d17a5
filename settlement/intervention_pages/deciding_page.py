"""Deciding what somebody else has asked for, on the page of the intervention, beside what it would change now."""

from typing import Any

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.utils import timezone

from settlement.intervention_pages.asked import Asked, venue, warm_up_soon
from settlement.intervention_pages.operating import page_of, person
from settlement.interventions import deciding
from settlement.interventions.terms import Refused, as_given
from settlement.models import Intervention

APPROVE = "settlement.approve_intervention"


def shown(request: HttpRequest, made: Intervention) -> dict[str, Any]:
    """What the page of an intervention shows beside its columns."""
    operation = deciding.operation_of(made)
    context: dict[str, Any] = {
        "made": made,
        "operation": operation,
        "terms": made.terms,  # as they are stored: amounts as text
        "subject_page": page_of(made.subject, made.subject_id),
        "waits": made.state == Intervention.State.REQUESTED,
        "is_own": made.requested_by_id == request.user.pk,
        "may_approve": request.user.has_perm(APPROVE),
    }
    if context["waits"]:
        warm_up_soon()
        try:
            terms = as_given(operation.terms, made.terms)
            if deciding.has_moved(made):
                raise Refused(f"{deciding.MOVED}: the request is void")
            context["effects"] = deciding.preview(
                operation=operation, row_id=made.subject_id, terms=terms, now=timezone.now()
            )
        except Refused as refusal:
            context["problem"] = str(refusal)
    return context


def decide(request: HttpRequest, intervention_id: int) -> HttpResponse:
    """Approve, reject or withdraw. Approving and rejecting need the approver's permission, withdrawing the request."""
    if request.method != "POST":
        return HttpResponseNotAllowed(["POST"])
    made = get_object_or_404(Intervention, pk=intervention_id)
    is_own = made.requested_by_id == request.user.pk
    step, note = request.POST.get("decision", ""), request.POST.get("note", "")
    if not (request.user.has_perm(APPROVE) or (is_own and step == "reject")):
        raise PermissionDenied
    by, now, asked = person(request), timezone.now(), Asked(venue)
    try:
        if step == "approve":
            made = deciding.approve(intervention_id=made.pk, by=by, note=note, venue=asked.venue, now=now)
        elif step == "reject":
            made = deciding.reject(intervention_id=made.pk, by=by, note=note, now=now)
        else:
            raise Refused("it is either approved or rejected")
    except Refused as refusal:
        messages.error(request, f"Intervention {intervention_id}: {refusal}.")
    else:
        messages.success(request, f"Intervention {made.pk} is {made.get_state_display().lower()}. {asked}")
    response = HttpResponseRedirect(reverse("admin:settlement_intervention_change", args=[intervention_id]))
    asked.tell(response)
    return response
