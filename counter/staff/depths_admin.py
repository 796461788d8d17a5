"""How coins are traded, in the admin; what they charge for an order's size is set there, with a reason."""

from decimal import Decimal
from typing import Any

from django import forms
from django.contrib import messages
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest
from unfold.decorators import action
from unfold.forms import ActionForm

from counter.models import TradingStatus
from counter.pricing.impact import Depths
from counter.staff.limits_admin import SET, problems_of, text_field
from counter.trading.depths import DepthRefused, change_depths, depth_text, depths_of
from infra.admin.readonly import ReadOnlyAdmin
from infra.coordination import clock


class DepthsForm(forms.Form):
    """What is filled in beside the action: USDT, where 0 charges nothing and an empty field leaves it, and why."""

    delta = forms.DecimalField(required=False, min_value=Decimal(0), max_digits=20, decimal_places=6)
    vega = forms.DecimalField(required=False, min_value=Decimal(0), max_digits=20, decimal_places=6)
    premium = forms.DecimalField(required=False, min_value=Decimal(0), max_digits=20, decimal_places=6)
    why = forms.CharField(required=False, max_length=200)
    far_below = forms.BooleanField(required=False)


class DepthsFields(ActionForm):
    """The fields of DepthsForm as they are shown, each with what is in force."""

    delta = text_field("delta depth, USDT")
    vega = text_field("vega depth, USDT")
    premium = text_field("premium depth, USDT")
    why = text_field("why (needed)")
    far_below = forms.BooleanField(required=False, label="less than a tenth is meant")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        standing = [
            (status.underlying, depths_of(status)) for status in TradingStatus.objects.order_by("underlying")
        ]
        for name in Depths._fields:
            now = ", ".join(f"{coin} {depth_text(getattr(depths, name))}" for coin, depths in standing)
            field = self.fields[name]
            field.widget.attrs |= {
                "placeholder": f"{name}: {now.replace(' USDT', '')}",
                "title": f"{name} depth; in force: {now}",
            }


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

    @action(description="Charge for size: empty stays, 0 charges nothing", permissions=["set"])
    def set_depths(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        """Set the depths that the form names, of all selected coins or of none."""
        form = DepthsForm(request.POST)
        if not form.is_valid():
            self.message_user(request, f"Not done. {problems_of(form)}", messages.ERROR)
            return
        given = form.cleaned_data
        named = {name: given[name] for name in Depths._fields if given[name] is not None}
        if not named:
            self.message_user(request, "Not done: no depth was filled in.", messages.ERROR)
            return
        by, now = request.user.get_username(), clock.of("default").now()
        try:
            with transaction.atomic():
                done = [
                    change_depths(
                        underlying=coin,
                        to=named,
                        reason=given["why"],
                        by=by,
                        now=now,
                        far_below=given["far_below"],
                    )
                    for coin in queryset.order_by("underlying").values_list("underlying", flat=True)
                ]
        except DepthRefused as refusal:
            self.message_user(request, f"Not done: {refusal}.", messages.ERROR)
            return
        changed = sum(each.is_changed for each in done)
        self.message_user(request, f"Depths of {changed} set. {'; '.join(map(str, done))}.", messages.SUCCESS)
