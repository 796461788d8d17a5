"""Payments of clearing in the admin: one person states what was paid, another approves it.

Guards money: rows are only looked at here. What decides is an operation, with a permission of its own.
"""

from typing import Any

from django import forms
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.urls import URLPattern, path, reverse
from unfold.widgets import (
    UnfoldAdminDecimalFieldWidget,
    UnfoldAdminSelectWidget,
    UnfoldAdminTextareaWidget,
    UnfoldAdminTextInputWidget,
)

from counter.contracts import USDT_DECIMALS
from infra.admin.decisions import APPROVE, REJECT, DecidedAdmin, request_page
from infra.admin.readonly import ReadOnlyAdmin
from infra.coordination import clock
from settlement.book.chart import USDT
from settlement.counter_link import clearing_payments
from settlement.counter_link.clearing_payments import PaymentRefused
from settlement.models import ClearingPayment

PAY = "settlement.pay_clearing"
ASSETS = (USDT,)  # what counter clears in


class PaymentForm(forms.Form):
    """What was paid, and what shows it."""

    asset = forms.ChoiceField(choices=[(asset, asset) for asset in ASSETS], widget=UnfoldAdminSelectWidget())
    amount = forms.DecimalField(
        max_digits=20,
        decimal_places=USDT_DECIMALS,
        help_text="By the side that owes, to the other; at most what it owes.",
        widget=UnfoldAdminDecimalFieldWidget(attrs={"step": "any", "inputmode": "decimal"}),
    )
    reference = forms.CharField(
        max_length=64,
        help_text="The payment's own: of the bank, or of the chain. Both systems take each reference once.",
        widget=UnfoldAdminTextInputWidget,
    )
    reason = forms.CharField(
        help_text="For everybody who reads the history.", widget=UnfoldAdminTextareaWidget(attrs={"rows": 3})
    )


class ClearingPaymentDecisionAdmin(DecidedAdmin, ReadOnlyAdmin):
    """What was paid between counter and the desk, who asked for it, who approved it, and what counter said."""

    list_display = [
        *("id", "asset", "direction", "amount", "reference", "state", "requested_by", "requested_at"),
        *("decided_by", "booked_at", "answer"),
    ]
    list_filter = ["state", "direction", "asset"]
    search_fields = ["reference__startswith"]
    search_help_text = "Beginning of the payment's reference"
    list_before_template = "settlement/clearing/owed.html"
    change_form_outer_before_template = "settlement/clearing/decision.html"
    steps = {APPROVE: ClearingPayment.approve, REJECT: ClearingPayment.reject}
    operations = {APPROVE: clearing_payments.approve, REJECT: clearing_payments.reject}
    id_name = "payment_id"
    refusal = PaymentRefused

    def get_urls(self) -> list[URLPattern]:
        """With the address for a request."""
        view = self.admin_site.admin_view(self.pay)
        return [path("pay/", view, name="settlement_clearingpayment_pay"), *super().get_urls()]

    def beside(self, made: ClearingPayment) -> dict[str, Any]:
        """What is owed now."""
        return _what_is_owed()

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """With what is owed."""
        context = {**_what_is_owed(), "may_pay": request.user.has_perm(PAY), **(extra_context or {})}
        return super().changelist_view(request, context)

    def pay(self, request: HttpRequest) -> HttpResponse:
        """Ask that a payment be booked; another person has to approve it."""
        if not request.user.has_perm(PAY):
            raise PermissionDenied
        return request_page(
            request,
            PaymentForm(request.POST if request.method == "POST" else None),
            make=lambda **asked: clearing_payments.request(now=clock.of("desk").now(), **asked),
            refusal=PaymentRefused,
            template="settlement/clearing/pay.html",
            context={
                **self.admin_site.each_context(request),
                **_what_is_owed(),
                "title": "Pay clearing",
                "back": reverse("admin:settlement_clearingpayment_changelist"),
            },
        )


def _what_is_owed() -> dict[str, Any]:
    """By asset, positive: counter owes the desk."""
    return {"owed": [(asset, clearing_payments.owed(asset)) for asset in ASSETS]}
