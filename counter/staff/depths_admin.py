"""How coins are traded, in the admin; what each charges for an order's size is set on its own page, with a reason."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from django import forms
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404, render
from django.urls import URLPattern, path
from unfold.widgets import UnfoldAdminDecimalFieldWidget, UnfoldAdminTextareaWidget

from counter.models import TradingStatus
from counter.pricing.impact import Depths
from counter.staff.limits_admin import SET
from counter.trading.depths import DepthFarBelow, DepthRefused, change_depths, depth_text, depths_of
from infra.admin.decisions import page_of
from infra.admin.readonly import ReadOnlyAdmin
from infra.coordination import clock


def _depth_field(label: str) -> forms.DecimalField:
    """USDT; the form has what it showed with it, so that only what the person changed is set."""
    return forms.DecimalField(
        label=label,
        required=False,
        min_value=Decimal(0),
        max_digits=20,
        decimal_places=6,
        show_hidden_initial=True,
        widget=UnfoldAdminDecimalFieldWidget(
            attrs={"step": "any", "inputmode": "decimal", "placeholder": "none"}
        ),
    )


class DepthsForm(forms.Form):
    """Each depth as it is in force, to be changed, and why; 0 charges nothing, an emptied field changes nothing."""

    delta = _depth_field("Delta depth, USDT")
    vega = _depth_field("Vega depth, USDT")
    premium = _depth_field("Premium depth, USDT")
    why = forms.CharField(max_length=200, widget=UnfoldAdminTextareaWidget(attrs={"rows": 2}))

    def clean(self) -> None:
        """Reads what the page showed, too."""
        self.seen: dict[str, Decimal | None] = {
            name: self.fields[name].clean(self.data.get(f"initial-{name}")) for name in Depths._fields
        }

    def named(self) -> dict[str, Decimal]:
        """The depths that the person changed."""
        found = {name: self.cleaned_data[name] for name in Depths._fields if name in self.changed_data}
        return {name: depth for name, depth in found.items() if depth is not None}


class TradingStatusAdmin(ReadOnlyAdmin):
    list_display = [
        *("underlying", "state", "stop", "spread_rate", "why", "since", "judged_at"),
        *("payout_float_usdt", "pays_at_once", "admitted_permille", "is_paced"),
        *("delta_depth", "vega_depth", "premium_depth"),
    ]
    change_form_outer_before_template = "counter/depths_link.html"

    def get_urls(self) -> list[URLPattern]:
        """With the address where depths are set."""
        view = self.admin_site.admin_view(self.set_depths)
        return [path("<int:pk>/depths/", view, name="counter_tradingstatus_depths"), *super().get_urls()]

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        """With what is charged for size, and the way to set it."""
        status = self.get_object(request, object_id)
        context = dict(extra_context or {})
        if isinstance(status, TradingStatus):
            depths = depths_of(status)._asdict()
            context["depths"] = {name: depth_text(depth) for name, depth in depths.items()}
            context["may_set"] = request.user.has_perm(SET)
        return super().change_view(request, object_id, form_url, context)

    def set_depths(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Set the depths that a person changed in the form; what is far below the one in force is asked again."""
        if not request.user.has_perm(SET):
            raise PermissionDenied
        status = get_object_or_404(TradingStatus, pk=pk)
        shown: Mapping[str, Decimal | None] = depths_of(status)._asdict()
        initial = {name: depth and depth.normalize().__format__("f") for name, depth in shown.items()}
        form = DepthsForm(request.POST if request.method == "POST" else None, initial=initial)
        asks_again = False
        if form.is_valid():
            try:
                return self._set(request, status, form)
            except DepthFarBelow as refusal:
                asks_again = True
                form.add_error(None, f"Not done: {refusal}.")
            except DepthRefused as refusal:
                form.add_error(None, f"Not done: {refusal}.")
        context = {
            **self.admin_site.each_context(request),
            "title": f"Charge for size: {status.underlying}",
            "form": form,
            "asks_again": asks_again,
            "back": page_of(status),
        }
        return render(request, "counter/depths.html", context)

    def _set(self, request: HttpRequest, status: TradingStatus, form: DepthsForm) -> HttpResponse:
        named = form.named()
        if not named:
            raise DepthRefused("no depth was changed")
        done = change_depths(
            underlying=status.underlying,
            to=named,
            reason=form.cleaned_data["why"],
            by=request.user.get_username(),
            now=clock.of("default").now(),
            far_below="far_below" in request.POST,
            seen=form.seen,
        )
        messages.success(request, f"{done}.")
        return HttpResponseRedirect(page_of(status))
