"""How coins are traded, in the admin; what they charge for an order's size is set there, with a reason."""

from decimal import Decimal
from typing import Any

from django import forms
from django.contrib import messages
from django.db.models import QuerySet
from django.http import HttpRequest
from unfold.decorators import action
from unfold.forms import ActionForm

from counter.pricing.impact import Depths
from counter.staff.limits_admin import SET, text_field
from counter.trading.depths import DepthRefused, set_depths
from infra.admin.readonly import ReadOnlyAdmin
from infra.coordination import clock


class DepthsForm(forms.Form):
    """What is filled in beside the action: USDT, where 0 or nothing charges nothing, and why."""

    delta = forms.DecimalField(required=False, min_value=Decimal(0), max_digits=20, decimal_places=6)
    vega = forms.DecimalField(required=False, min_value=Decimal(0), max_digits=20, decimal_places=6)
    premium = forms.DecimalField(required=False, min_value=Decimal(0), max_digits=20, decimal_places=6)
    why = forms.CharField(required=False, max_length=200)


class DepthsFields(ActionForm):
    """The fields of DepthsForm as they are shown."""

    delta = text_field("delta depth, USDT")
    vega = text_field("vega depth, USDT")
    premium = text_field("premium depth, USDT")
    why = text_field("why (needed)")


class TradingStatusAdmin(ReadOnlyAdmin):
    list_display = [
        *("underlying", "state", "stop", "spread_rate", "why", "since", "judged_at"),
        *("payout_float_usdt", "pays_at_once", "admitted_permille", "is_paced"),
        *("delta_depth", "vega_depth", "premium_depth"),
    ]
    actions = ["set_depths"]
    action_form = DepthsFields

    def has_set_permission(self, request: HttpRequest) -> bool:
        """Decides on the server who is offered the action and whose request for it is obeyed."""
        return request.user.has_perm(SET)

    @action(description="Charge for size: empty charges nothing", permissions=["set"])
    def set_depths(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        """Set all depths of the selected coins to what the form says."""
        form = DepthsForm(request.POST)
        if not form.is_valid():
            problems = "; ".join(
                f"{name}: {' '.join(map(str, errors))}" for name, errors in form.errors.items()
            )
            self.message_user(request, f"Not done. {problems}", messages.ERROR)
            return
        given = form.cleaned_data
        to = Depths(given["delta"], given["vega"], given["premium"])
        by, now, count = request.user.get_username(), clock.of("default").now(), 0
        try:
            for coin in queryset.order_by("underlying").values_list("underlying", flat=True):
                count += set_depths(underlying=coin, to=to, reason=given["why"], by=by, now=now)
        except DepthRefused as refusal:
            self.message_user(request, f"Not done: {refusal}.", messages.ERROR)
            return
        self.message_user(request, f"Depths of {count} set.", messages.SUCCESS)
