"""Withdrawals as staff see them, and what two of them may do about one that the wallet service does not end."""

from typing import Any

from django import forms
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.urls import URLPattern, path
from unfold.widgets import UnfoldAdminSelectWidget, UnfoldAdminTextareaWidget, UnfoldAdminTextInputWidget

from counter.models import LateWord, Withdrawal, WithdrawalDecision
from counter.money import withdrawal_decisions
from counter.money.withdrawal_decisions import DecisionRefused, steps_for
from counter.public_ids import Kind
from counter.staff.public_id_admin import PublicIdAdmin
from infra.admin.decisions import APPROVE, REJECT, DecidedAdmin, page_of, request_page
from infra.admin.readonly import ReadOnlyAdmin
from infra.coordination import clock

END = "counter.end_withdrawal"


class DecisionForm(forms.Form):
    """What became of the money, and what shows it."""

    step = forms.ChoiceField(label="What became of it", widget=UnfoldAdminSelectWidget())
    evidence = forms.CharField(
        label="Reference",
        max_length=200,
        help_text="What shows it: the payment's id, the bank's answer, a ticket. The approver relies on it.",
        widget=UnfoldAdminTextInputWidget,
    )
    reason = forms.CharField(
        help_text="For everybody who reads the history.", widget=UnfoldAdminTextareaWidget(attrs={"rows": 3})
    )

    def __init__(self, *args: Any, withdrawal: Withdrawal, **options: Any) -> None:
        super().__init__(*args, **options)
        choices: Any = self.fields["step"]
        choices.choices = [(step.value, step.label) for step in steps_for(withdrawal)]


class WithdrawalAdmin(PublicIdAdmin):
    """Each withdrawal; one that waits for the wallet, or that the wallet contradicts, has a page to end it."""

    list_display = [
        *("reference", "customer", "amount", "state", "reserved_at", "confirmed_at", "released_at"),
    ]
    list_select_related = ["customer"]
    list_filter = ["state"]
    search_fields = ["reference__startswith", "customer__reference__startswith"]
    search_help_text = (
        "Beginning of the wallet's reference, or of the customer's; the id as the customer has it"
    )
    id_kind, searched_ids = Kind.WITHDRAWAL, {Kind.WITHDRAWAL: "pk"}
    change_form_outer_before_template = "counter/withdrawals/withdrawal.html"

    def get_urls(self) -> list[URLPattern]:
        """With the address where an end is asked for."""
        view = self.admin_site.admin_view(self.end)
        return [path("<int:withdrawal_id>/end/", view, name="counter_withdrawal_end"), *super().get_urls()]

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        """With the way to end it."""
        withdrawal = self.get_object(request, object_id)
        context = dict(extra_context or {})
        if isinstance(withdrawal, Withdrawal):
            decisions = WithdrawalDecision.objects.filter(withdrawal=withdrawal)
            context["waiting"] = decisions.filter(state=WithdrawalDecision.State.REQUESTED).first()
            context["can_be_ended"] = bool(steps_for(withdrawal))
            context["late_word"] = LateWord.objects.filter(withdrawal=withdrawal).first()
            context["may_end"] = request.user.has_perm(END)
        return super().change_view(request, object_id, form_url, context)

    def end(self, request: HttpRequest, withdrawal_id: int) -> HttpResponse:
        """Ask that it be ended; another person has to approve it."""
        if not request.user.has_perm(END):
            raise PermissionDenied
        withdrawal = get_object_or_404(Withdrawal, pk=withdrawal_id)
        data = request.POST if request.method == "POST" else None
        return request_page(
            request,
            DecisionForm(data, withdrawal=withdrawal),
            make=lambda **asked: withdrawal_decisions.request(
                withdrawal_id=withdrawal.pk, now=clock.of("default").now(), **asked
            ),
            refusal=DecisionRefused,
            template="counter/withdrawals/end.html",
            context={
                **self.admin_site.each_context(request),
                "title": "End the withdrawal",
                "withdrawal": withdrawal,
                "back": page_of(withdrawal),
            },
        )


class WithdrawalDecisionAdmin(DecidedAdmin, ReadOnlyAdmin):
    """What people asked to be done about withdrawals, and who decided."""

    list_display = [
        *("id", "withdrawal", "step", "state", "evidence", "requested_by", "requested_at"),
        *("decided_by", "decided_at"),
    ]
    list_select_related = ["withdrawal"]
    list_filter = ["state", "step"]
    change_form_outer_before_template = "counter/withdrawals/decision.html"
    steps = {APPROVE: WithdrawalDecision.apply, REJECT: WithdrawalDecision.reject}
    operations = {APPROVE: withdrawal_decisions.approve, REJECT: withdrawal_decisions.reject}
    id_name = "decision_id"
    refusal = DecisionRefused


class LateWordAdmin(ReadOnlyAdmin):
    """What the wallet service said against what people had decided, and the answer of two people."""

    list_display = ["withdrawal", "said", "heard_at", "state", "answer"]
    list_select_related = ["withdrawal", "answer"]
    list_filter = ["state"]
    search_fields = ["withdrawal__reference__startswith"]
    search_help_text = "Beginning of the wallet's reference"
