"""Setting limits in the admin: on selected rows, by a form beside the action, with a reason."""

from collections.abc import Callable
from decimal import Decimal
from functools import partial
from typing import Any

from django import forms
from django.contrib import messages
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest
from unfold.decorators import action
from unfold.forms import ActionForm
from unfold.widgets import UnfoldAdminTextInputWidget

from counter.limits.in_force import LimitRefused, Setting, set_customer_limit, set_series_limit
from counter.models import Account, Quote
from infra.admin.readonly import ReadOnlyAdmin
from infra.coordination import clock

SET = "counter.set_limits"
MAX_CONTRACTS = 2**31 - 1


class SeriesLimitsForm(forms.Form):
    """What is filled in beside the action: each limit the default of the settings where it is left empty, and why."""

    contracts = forms.IntegerField(required=False, min_value=0, max_value=MAX_CONTRACTS)
    notional = forms.DecimalField(required=False, min_value=Decimal(0), max_digits=20, decimal_places=6)
    why = forms.CharField(required=False, max_length=200)


class CustomerLimitsForm(SeriesLimitsForm):
    """And how many orders a second."""

    orders_per_s = forms.IntegerField(required=False, min_value=1, max_value=1_000_000)


def text_field(placeholder: str) -> forms.CharField:
    """A field that takes anything: of what is wrong with it Django would only say that no action was selected."""
    widget = UnfoldAdminTextInputWidget(attrs={"placeholder": placeholder, "aria-label": placeholder})
    return forms.CharField(required=False, label="", widget=widget)


def problems_of(form: forms.Form) -> str:
    """What is wrong with each field, on one line."""
    return "; ".join(f"{name}: {' '.join(map(str, errors))}" for name, errors in form.errors.items())


class SeriesLimitsFields(ActionForm):
    """The fields of SeriesLimitsForm as they are shown."""

    contracts = text_field("contracts")
    notional = text_field("USDT")
    why = text_field("why (needed)")


class CustomerLimitsFields(SeriesLimitsFields):
    """The fields of CustomerLimitsForm as they are shown."""

    orders_per_s = text_field("orders a second")


class SetsLimits(ReadOnlyAdmin):
    """Rows whose limits people with the permission may set."""

    actions = ["set_limits"]
    limits_form: type[forms.Form]

    def has_set_permission(self, request: HttpRequest) -> bool:
        """Decides on the server who is offered the action and whose request for it is obeyed."""
        return request.user.has_perm(SET)

    @action(description="Set limits: empty is the default", permissions=["set"])
    def set_limits(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        """Set all limits of the selected rows to what the form says, or none of them."""
        form = self.limits_form(request.POST)
        if not form.is_valid():
            self.message_user(request, f"Not done. {problems_of(form)}", messages.ERROR)
            return
        given = form.cleaned_data
        to = Setting(given["contracts"], given["notional"], given.get("orders_per_s"))
        by, now, count = request.user.get_username(), clock.of("default").now(), 0
        try:
            with transaction.atomic():
                for set_one in self.setters(queryset):
                    set_one(to=to, reason=given["why"], by=by, now=now)
                    count += 1
        except LimitRefused as refusal:
            self.message_user(request, f"Not done: {refusal}.", messages.ERROR)
            return
        self.message_user(request, f"Limits of {count} set.", messages.SUCCESS)

    def setters(self, queryset: QuerySet[Any]) -> list[Callable[..., None]]:
        """For each row the operation that sets its limits."""
        raise NotImplementedError


class AccountAdmin(SetsLimits):
    """Balances, what each customer has open, and limits of their own."""

    list_display = [
        *("code", "asset", "customer", "balance", "open_contracts", "open_cost"),
        *("contracts_limit", "notional_limit", "orders_limit"),
    ]
    list_select_related = ["customer"]
    search_fields = ["customer__reference__startswith", "code__exact"]
    search_help_text = "Beginning of the customer's reference, or the account's code"
    action_form, limits_form = CustomerLimitsFields, CustomerLimitsForm

    def setters(self, queryset: QuerySet[Account]) -> list[Callable[..., None]]:
        """Of the customers among the accounts."""
        ids = queryset.filter(customer__isnull=False).values_list("customer_id", flat=True)
        return [partial(set_customer_limit, customer_id=customer_id) for customer_id in ids]


class QuoteAdmin(SetsLimits):
    """Present prices, and what is left of each series' limits."""

    list_display = [
        *("option", "bid", "ask", "mark", "implied_volatility", "index_price", "quoted_at"),
        *("contracts_left", "notional_left"),
    ]
    list_select_related = ["option"]
    list_filter = ["option__underlying"]
    search_fields = ["option__symbol__startswith"]
    action_form, limits_form = SeriesLimitsFields, SeriesLimitsForm

    def setters(self, queryset: QuerySet[Quote]) -> list[Callable[..., None]]:
        """Of the options of these quotes."""
        ids = queryset.values_list("option_id", flat=True)
        return [partial(set_series_limit, option_id=option_id) for option_id in ids]
