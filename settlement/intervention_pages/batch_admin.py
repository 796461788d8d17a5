"""Many rows at once: asked for by the actions of a list, decided on the batch's own page."""

from collections.abc import Callable
from functools import partial
from typing import Any

from django import forms
from django.contrib import messages
from django.db.models import Count, Q, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from unfold.forms import ActionForm
from unfold.widgets import UnfoldAdminTextInputWidget

from acceptance.admin import SearchedAdmin
from infra.admin.decisions import APPROVE, REJECT, DecidedAdmin, page_of, person
from infra.coordination import clock
from settlement.interventions import batches, deciding
from settlement.interventions.operations import Operation
from settlement.interventions.terms import Refused
from settlement.models import Batch, BatchRow
from settlement.models.history import Subject

SHOWN = 50


class BatchForm(ActionForm):
    """Beside the action: why, and what shows it."""

    reason = forms.CharField(
        required=False,
        label="",
        max_length=500,
        widget=UnfoldAdminTextInputWidget(attrs={"placeholder": "why (for many at once)"}),
    )
    evidence = forms.CharField(
        required=False,
        label="",
        max_length=500,
        widget=UnfoldAdminTextInputWidget(attrs={"placeholder": "what shows it"}),
    )


def bulk_actions(subject: Subject, request: HttpRequest) -> dict[str, tuple[Callable[..., Any], str, str]]:
    """An action for each operation on many rows that this person may ask for."""
    return {
        f"batch_{operation.kind}": (
            partial(_ask_for_batch, operation=operation),
            f"batch_{operation.kind}",
            f"Request for all selected: {operation.title}",
        )
        for operation in batches.operations_for(subject)
        if request.user.has_perm(operation.permission)
    }


def _ask_for_batch(
    model_admin: Any, request: HttpRequest, queryset: QuerySet[Any], *, operation: Operation
) -> HttpResponse | None:
    rows = queryset.order_by("pk")[: batches.MAX_ROWS + 1]
    try:
        made = batches.request(
            operation=operation,
            rows=rows,
            reason=request.POST.get("reason", ""),
            evidence=request.POST.get("evidence", ""),
            by=person(request),
            now=clock.of("desk").now(),
        )
    except Refused as refusal:
        model_admin.message_user(request, f"{str(refusal).capitalize()}.", messages.ERROR)
        return None
    text = f"Batch {made.pk}, {made.size} rows, waits for another person's approval."
    model_admin.message_user(request, text, messages.SUCCESS)
    return HttpResponseRedirect(page_of(made))


class BatchAdmin(DecidedAdmin, SearchedAdmin):
    """What was asked for of many rows, who decided, and how far it is."""

    list_display = [
        *("id", "kind", "subject", "size", "state", "reason", "requested_by", "requested_at"),
        *("decided_by", "decided_at", "done_at"),
    ]
    list_filter = ["state", "kind", "subject"]
    change_form_outer_before_template = "settlement/interventions/batch.html"
    steps = {APPROVE: Batch.run, REJECT: Batch.reject}
    operations = {APPROVE: batches.approve, REJECT: batches.reject}
    id_name = "batch_id"
    refusal = Refused

    def beside(self, made: Batch) -> dict[str, Any]:
        """Its first rows, and how far it is."""
        rows = BatchRow.objects.filter(batch=made)
        return {
            "operation": deciding.OPERATIONS[made.subject, made.kind],
            "rows": rows.order_by("id")[:SHOWN],
            "counts": rows.aggregate(
                done=Count("id", filter=Q(intervention__isnull=False)),
                refused=Count("id", filter=~Q(refusal="")),
                left=Count("id", filter=Q(ended_at__isnull=True)),
            ),
            "all_rows": f"{reverse('admin:settlement_batchrow_changelist')}?q={made.pk}",
        }


class BatchRowAdmin(SearchedAdmin):
    """Each row of each batch, and what came of it."""

    list_display = ["id", "batch", "subject_id", "subject_state", "ended_at", "intervention", "refusal"]
    list_select_related = ["batch", "intervention"]
    search_help_text = "Id of the batch"
    number_fields = ["batch_id"]
