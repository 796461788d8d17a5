"""Admin classes of rows that people may intervene on, and of the interventions themselves."""

from functools import partial
from typing import Any
from urllib.parse import urlencode

from django.http import HttpRequest, HttpResponse
from django.urls import URLPattern, path, reverse

from acceptance.admin import SearchedAdmin
from settlement.intervention_pages import deciding_page
from settlement.intervention_pages.batch_admin import bulk_actions
from settlement.intervention_pages.operating import operate
from settlement.intervention_pages.timed_venue import warm_up_soon
from settlement.interventions import deciding
from settlement.models import Conversion, FundsTransfer, Intervention
from settlement.models.history import Subject


class OperatedAdmin(SearchedAdmin):
    """Shows on a row's page the operations that its state allows, to all who may see the row."""

    subject: Subject
    takes_batches = False  # whether its list has actions for many rows at once
    change_form_outer_before_template = "settlement/interventions/operations.html"

    @property
    def _operate(self) -> str:
        return f"{self.opts.app_label}_{self.opts.model_name}_operate"

    def get_actions(self, request: HttpRequest) -> dict[str, Any]:
        """With what can be asked for of many rows at once."""
        actions = super().get_actions(request)
        return {**actions, **bulk_actions(self.subject, request)} if self.takes_batches else actions

    def _can_be_asked_for(self, request: HttpRequest, row: Any) -> bool:
        """Whether the venue may be asked about the row at once; not every kind of row is the venue's."""
        return False

    def _leads(self, row: Any) -> dict[str, str]:
        """Where the row's story is told, by name: what was sent to the venue and heard, its states, its orders."""
        of_row = urlencode({"subject__exact": str(self.subject), "q": row.pk})
        leads = {
            "what was sent to the venue, and its answers": f"{reverse('admin:settlement_attempt_changelist')}?{of_row}"
        }
        leads["its states"] = f"{reverse('admin:settlement_statechange_changelist')}?{of_row}"
        if isinstance(row, Conversion):
            of_orders = urlencode({"q": row.client_order_id})
            leads["its orders"] = f"{reverse('find_order')}?{of_orders}"
        return leads if isinstance(row, Conversion | FundsTransfer) else {}

    def get_urls(self) -> list[URLPattern]:
        """With one address for each operation."""
        view = self.admin_site.admin_view(partial(operate, site=self.admin_site, subject=self.subject))
        return [path("<int:row_id>/operate/<slug:kind>/", view, name=self._operate), *super().get_urls()]

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        """With what can be done."""
        row = self.get_object(request, object_id)
        context = dict(extra_context or {})
        if row is not None and self._can_be_asked_for(request, row):
            context["ask_again"] = reverse(f"admin:{self.opts.app_label}_{self.opts.model_name}_changelist")
        if row is not None:
            context["leads"] = self._leads(row)
            if any(operation.asks_venue for operation in deciding.operations_on(row)):
                warm_up_soon()
            context["waiting"] = deciding.waiting_for(self.subject, row.pk)
            context["operations"] = [
                {
                    "operation": operation,
                    "url": reverse(f"admin:{self._operate}", args=[row.pk, operation.kind]),
                    "allowed": request.user.has_perm(operation.permission),
                }
                for operation in deciding.operations_on(row)
            ]
        return super().change_view(request, object_id, form_url, context)


class InterventionAdmin(SearchedAdmin):
    """What people asked for and decided; what waits for a decision comes by the filter."""

    list_display = [
        *("id", "kind", "subject", "subject_id", "state", "reason", "requested_by", "requested_at"),
        *("decided_by", "decided_at"),
    ]
    list_filter = ["state", "kind", "subject"]
    search_help_text = "Id, or that of the conversion, transfer or conflict"
    number_fields = ["pk", "subject_id"]
    change_form_outer_before_template = "settlement/interventions/decision.html"

    def get_urls(self) -> list[URLPattern]:
        """With the address for decisions."""
        view = self.admin_site.admin_view(deciding_page.decide)
        return [
            path("<int:intervention_id>/decide/", view, name="settlement_intervention_decide"),
            *super().get_urls(),
        ]

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        """With what it would change now, and the decision."""
        made = self.get_object(request, object_id)
        context = dict(extra_context or {})
        if isinstance(made, Intervention) and self.has_view_permission(request, made):
            context |= deciding_page.shown(request, made)
        return super().change_view(request, object_id, form_url, context)
