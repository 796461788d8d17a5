"""Counter's tables as staff see them: to look at and to search, never to change.

Lists stay quick over millions of rows: they are ordered by primary key, search exact or by prefix, and never count the
whole table.
"""

from typing import Any

from django.contrib import admin
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from unfold.decorators import display

from counter.models import (
    Account,
    ApiKey,
    CashMovement,
    ClearingPayment,
    Customer,
    DepthChange,
    DeskCondition,
    Expiry,
    FirmQuote,
    IndexEntry,
    IndexRejection,
    LateWord,
    LimitChange,
    Option,
    OptionChange,
    Position,
    Quote,
    ResumeRequest,
    SettlementIndex,
    SyncOrder,
    TradingStatus,
    TradingStatusChange,
    TradingSwitch,
    TradingSwitchChange,
    Transfer,
    WebhookDelivery,
    WebhookEndpoint,
    Withdrawal,
    WithdrawalDecision,
)
from counter.orders.finding import orders_by_client_id
from counter.public_ids import Kind, row_of
from counter.staff.api_keys_admin import ApiKeyAdmin
from counter.staff.depths_admin import TradingStatusAdmin
from counter.staff.limits_admin import AccountAdmin, QuoteAdmin
from counter.staff.option_admin import (
    ExpiryAdmin,
    IndexEntryAdmin,
    OptionAdmin,
    OptionChangeAdmin,
    SettlementIndexAdmin,
)
from counter.staff.public_id_admin import PublicIdAdmin
from counter.staff.switch_admin import TradingSwitchAdmin
from counter.staff.switch_page import what_of
from counter.staff.switch_standing import WHOLE
from counter.staff.webhook_admin import WebhookDeliveryAdmin, WebhookEndpointAdmin
from counter.staff.withdrawal_admin import LateWordAdmin, WithdrawalAdmin, WithdrawalDecisionAdmin
from infra.admin.readonly import ReadOnlyAdmin, age_filter, is_number, link_column


class SearchByNumber(PublicIdAdmin):
    """Digits search one indexed column, anything else the customer: no index serves both in one query."""

    number_field = "pk"
    reference_field = "customer__reference"
    search_fields = ["pk"]  # shows the search box; `get_search_results` says what is searched
    search_help_text = "Id, as it is here or as the customer has it, or the customer's reference"

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        """Rows of one number or one customer."""
        term = search_term.strip()
        if not term or row_of(term) is not None:
            return super().get_search_results(request, queryset, term)
        found = queryset.filter(**{self.number_field if is_number(term) else self.reference_field: term})
        return found, False


@admin.register(Customer)
class CustomerAdmin(ReadOnlyAdmin):
    list_display = ["reference", "user", "created_at"]
    list_select_related = ["user"]
    fields = ["reference", "login", "created_at"]
    search_fields = ["reference__startswith"]
    search_help_text = "Beginning of the reference"

    @display(description="user")
    def login(self, customer: Customer) -> str:
        """By name: a link to the user would answer 403 to staff who may not see users."""
        return customer.user.get_username()


admin.site.register(ApiKey, ApiKeyAdmin)


@admin.register(CashMovement)
class CashMovementAdmin(ReadOnlyAdmin):
    list_display = ["created_at", "customer", "kind", "amount", "reference"]
    list_select_related = ["customer"]
    list_filter = ["kind"]
    search_fields = ["reference__exact", "customer__reference__startswith"]
    search_help_text = "The wallet's reference, or the beginning of the customer's"


@admin.register(ClearingPayment)
class ClearingPaymentAdmin(ReadOnlyAdmin):
    list_display = [
        *("at", "direction", "amount", "asset", "reference", "payment_id"),
        *("requested_by", "approved_by", "refusal"),
    ]
    list_filter = ["direction"]
    search_fields = ["reference__startswith"]
    search_help_text = "Beginning of the payment's reference"


@admin.register(LimitChange)
class LimitChangeAdmin(ReadOnlyAdmin):
    list_display = ["at", "customer_id", "option_id", "contracts", "notional", "orders_per_s", "reason", "by"]
    search_fields = ["customer_id__exact"]
    search_help_text = "Id of the customer"


@admin.register(DepthChange)
class DepthChangeAdmin(ReadOnlyAdmin):
    list_display = ["at", "underlying", "delta_depth", "vega_depth", "premium_depth", "reason", "by"]
    search_fields = ["underlying__exact"]
    search_help_text = "Coin"


@admin.register(IndexRejection)
class IndexRejectionAdmin(ReadOnlyAdmin):
    list_display = ["source", "underlying", "cause", "count", "bid", "ask", "first_at", "last_at"]


@admin.register(TradingStatusChange)
class TradingStatusChangeAdmin(ReadOnlyAdmin):
    list_display = ["at", "underlying", "from_state", "to_state", "spread_rate", "why", "by"]
    search_fields = ["underlying__exact"]
    search_help_text = "Coin"


@admin.register(TradingSwitchChange)
class TradingSwitchChangeAdmin(ReadOnlyAdmin):
    list_display = ["at", "coins", "came_to", "reason", "by", "stop_taken_back"]
    list_select_related = ["takes_back"]
    search_fields = ["underlying__exact"]
    search_help_text = "Coin"

    @display(description="from then on")
    def came_to(self, change: TradingSwitchChange) -> str:
        """What it came to, in words."""
        return what_of(change)

    @display(description="took back")
    def stop_taken_back(self, change: TradingSwitchChange) -> str:
        """The stop that was taken back by it."""
        return f"the stop of {change.takes_back.at:{WHOLE}}" if change.takes_back else ""


@admin.register(ResumeRequest)
class ResumeRequestAdmin(ReadOnlyAdmin):
    list_display = ["at", "change", "reason", "by"]
    list_select_related = ["change"]
    search_fields = ["by__exact"]
    search_help_text = "Who asked"


@admin.register(FirmQuote)
class FirmQuoteAdmin(SearchByNumber):
    id_kind, searched_ids = Kind.FIRM_QUOTE, {Kind.FIRM_QUOTE: "pk"}
    list_display = [
        *("id", "customer", "kind", "option", "contracts", "amount", "spread"),
        *("given_at", "expires_at", "state", "order_id"),
    ]
    list_select_related = ["customer", "option"]


@admin.register(DeskCondition)
class DeskConditionAdmin(ReadOnlyAdmin):
    list_display = [
        *("underlying", "unhedged_coin", "venue_halted_since", "doubtful_since", "as_of", "received_at"),
    ]


@admin.register(Position)
class PositionAdmin(SearchByNumber):
    id_kind, searched_ids = Kind.POSITION, {Kind.POSITION: "pk"}
    timeline = link_column("timeline", page="order_timeline", by="id")  # of the order that opened it
    list_display = [
        "id",
        "timeline",
        "customer",
        "option",
        "state",
        "contracts",
        "remaining",
        "unpaid",
        "cost",
        "proceeds",
    ]
    list_select_related = ["customer", "option"]


@admin.register(SyncOrder)
class SyncOrderAdmin(SearchByNumber):
    timeline = link_column("timeline", page="order_timeline", by="id")
    list_display = [
        *("id", "timeline", "customer", "client_order_id", "kind", "symbol", "contracts", "amount"),
        *("payout", "state", "placed_at", "settled_at"),
    ]
    list_select_related = ["customer"]
    list_filter = ["state", age_filter("placed_at", goes_with_key=True)]
    search_help_text = (
        "Id of the order, as it is here or as the customer has it, the customer's reference, its client order id, "
        "or the last two with a blank between"
    )

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        """Rows of one number, of one client order id, or of one customer: the first that is known."""
        term = search_term.strip()
        found, may_repeat = super().get_search_results(request, queryset, term)
        if not term or found.exists():
            return found, may_repeat
        return queryset.filter(pk__in=orders_by_client_id(term, limit=self.list_per_page)), False


@admin.register(Transfer)
class TransferAdmin(SearchByNumber):
    timeline = link_column("timeline", page="order_timeline", by="order_id")
    list_display = [
        *("id", "created_at", "kind", "debit_account", "credit_account", "amount", "asset"),
        *("order_id", "timeline", "balance_after"),
    ]
    list_select_related = ["debit_account", "credit_account"]
    number_field = "order_id"
    id_kind, searched_ids = Kind.LEDGER_ENTRY, {Kind.LEDGER_ENTRY: "pk", Kind.ORDER: "order_id"}

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        """Transfers of one order, or of one customer's account."""
        term = search_term.strip()
        if not term or is_number(term) or row_of(term) is not None:
            return super().get_search_results(request, queryset, term)
        accounts = list(Account.objects.filter(customer__reference=term).values_list("pk", flat=True))
        return queryset.filter(Q(debit_account__in=accounts) | Q(credit_account__in=accounts)), False


admin.site.register(TradingStatus, TradingStatusAdmin)
admin.site.register(TradingSwitch, TradingSwitchAdmin)
admin.site.register(Account, AccountAdmin)
admin.site.register(Quote, QuoteAdmin)
admin.site.register(Option, OptionAdmin)
admin.site.register(OptionChange, OptionChangeAdmin)
admin.site.register(Expiry, ExpiryAdmin)
admin.site.register(SettlementIndex, SettlementIndexAdmin)
admin.site.register(IndexEntry, IndexEntryAdmin)
admin.site.register(Withdrawal, WithdrawalAdmin)
admin.site.register(WithdrawalDecision, WithdrawalDecisionAdmin)
admin.site.register(LateWord, LateWordAdmin)
admin.site.register(WebhookEndpoint, WebhookEndpointAdmin)
admin.site.register(WebhookDelivery, WebhookDeliveryAdmin)
