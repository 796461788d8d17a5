"""The desk's treasury as staff see it, and what they may do: have the venue asked again, lift its halt, intervene.

Guards money: rows are only looked at here. What decides is an operation with a permission of its own.
"""

from typing import Any

from django.conf import settings
from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from unfold.decorators import action

from acceptance.admin import AcceptedOrderAdmin, SearchedAdmin
from acceptance.models import AcceptedOrder, Conflict
from infra.admin.readonly import age_filter, link_column
from infra.coordination import clock
from settlement.conversions import late_fees, sweep
from settlement.intervention_pages.admins import InterventionAdmin, OperatedAdmin
from settlement.intervention_pages.batch_admin import BatchAdmin, BatchForm, BatchRowAdmin
from settlement.intervention_pages.clearing_admin import ClearingPaymentDecisionAdmin
from settlement.intervention_pages.reconciliation_admin import (
    ReconciliationBreakAdmin,
    ReconciliationRunAdmin,
)
from settlement.models import (
    Allocation,
    Attempt,
    Batch,
    BatchRow,
    Carry,
    ClearingPayment,
    CoinRest,
    Conversion,
    DeskAccount,
    DeskTransfer,
    Execution,
    ExecutionDay,
    ExecutionsRead,
    Fill,
    FundsTransfer,
    Intervention,
    LateFee,
    ReconciliationBreak,
    ReconciliationRun,
    StateChange,
    VenueAccount,
    VenueHalt,
    VenueStatement,
    VenueTrade,
)
from settlement.models.history import Subject
from settlement.venues import halts


class AskingAdmin(OperatedAdmin):
    """Rows that the venue may be asked about again, by people with the permission `ask_venue_...` of the model."""

    actions = ["ask_venue_again"]

    def has_ask_venue_permission(self, request: HttpRequest) -> bool:
        """Decides on the server who is offered the action and whose request for it is obeyed."""
        return request.user.has_perm(f"settlement.ask_venue_{self.model._meta.model_name}")

    def _can_be_asked_for(self, request: HttpRequest, row: Any) -> bool:
        return row.state == Conversion.State.UNKNOWN and self.has_ask_venue_permission(request)

    @action(description="Ask the venue again", permissions=["ask_venue"])
    def ask_venue_again(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        """Have the next sweep, called for at once, look for what became of the selected rows."""
        by = request.user.get_username()
        asked = sweep.ask_soon(queryset, by=by, now=clock.of("desk").now())
        level = messages.SUCCESS if asked else messages.WARNING
        self.message_user(request, f"The venue will be asked about {asked} of the selected rows.", level)


class CoinFilter(admin.SimpleListFilter):
    """The coins of the settings: asking the table for those in it would read it whole."""

    title = parameter_name = "underlying"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(coin, coin) for coin in settings.COINS]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset.filter(underlying=self.value()) if self.value() in settings.COINS else queryset


@admin.register(Conversion)
class ConversionAdmin(AskingAdmin):
    subject = Subject.CONVERSION
    list_display = [
        *("id", "underlying", "state", "reason", "side", "quantity", "filled_coin", "price", "fee_usdt"),
        *("order_count", "attempts", "due_at", "planned_at", "booked_at"),
    ]
    list_filter = ["state", CoinFilter, age_filter("planned_at", goes_with_key=True)]
    search_help_text = "Id, or the id at the venue: ours or theirs"
    number_fields = ["pk", "venue_order_id"]
    text_fields = ["client_order_id", "venue_order_id"]


@admin.register(FundsTransfer)
class FundsTransferAdmin(AskingAdmin):
    subject = Subject.FUNDS_TRANSFER
    list_display = [
        *("id", "asset", "direction", "amount", "state", "venue_transfer_id"),
        *("due_at", "reason", "planned_at", "confirmed_at"),
    ]
    list_filter = ["state", "asset", "direction", age_filter("planned_at", goes_with_key=True)]
    search_help_text = "Id, or the venue's"
    number_fields = ["pk", "venue_transfer_id"]


@admin.register(Fill)
class FillAdmin(SearchedAdmin):
    list_display = [
        "id",
        "conversion_id",
        "venue_trade_id",
        "price",
        "coin",
        "usdt",
        "fee",
        "fee_asset",
        "traded_at",
    ]
    search_help_text = "Id of the conversion"
    number_fields = ["conversion_id"]


@admin.register(Execution)
class ExecutionAdmin(SearchedAdmin):
    list_display = [
        *("conversion_id", "minute", "side", "underlying", "coin", "usdt"),
        *("order_price", "sent_price", "minute_price", "answer"),
    ]
    search_help_text = "Id of the conversion"


@admin.register(ExecutionDay)
class ExecutionDayAdmin(SearchedAdmin):
    list_display = ["day", "underlying", "conversions", "awaited", "coin", "usdt", "sent_gain"]


@admin.register(ExecutionsRead)
class ExecutionsReadAdmin(SearchedAdmin):
    list_display = ["id", "counted", "seen", "seen_at"]


@admin.register(VenueStatement)
class VenueStatementAdmin(SearchedAdmin):
    list_display = ["day", "underlying", "outcome", "why", "asked_at"]
    list_filter = ["outcome", CoinFilter]


@admin.register(VenueTrade)
class VenueTradeAdmin(SearchedAdmin):
    list_display = [
        *("venue_trade_id", "symbol", "venue_order_id", "side", "price", "coin", "usdt", "fee", "fee_asset"),
        "traded_at",
    ]


@admin.register(Allocation)
class AllocationAdmin(SearchedAdmin):
    list_select_related = ["order"]
    timeline = link_column("timeline", page="order_timeline", by="order.order_id")
    list_display = ["order_id", "timeline", "conversion_id", "value", "fee", "due", "slippage", "rounding"]
    search_help_text = "The desk's id of the order, or the conversion's"
    number_fields = ["pk", "conversion_id"]


@admin.register(Carry)
class CarryAdmin(SearchedAdmin):
    list_display = ["underlying", "coin", "usdt"]
    text_fields = ["pk"]


@admin.register(CoinRest)
class CoinRestAdmin(SearchedAdmin):
    list_display = ["underlying", "in_a_row", "due_at", "why"]
    text_fields = ["pk"]


@admin.register(DeskAccount)
class DeskAccountAdmin(SearchedAdmin):
    list_display = ["code", "asset", "normal_side"]
    text_fields = ["code", "asset"]


@admin.register(DeskTransfer)
class DeskTransferAdmin(SearchedAdmin):
    list_display = [
        *("id", "created_at", "kind", "debit_account", "credit_account", "amount", "asset"),
        *("conversion_id", "funds_transfer_id", "break_id"),
    ]
    list_select_related = ["debit_account", "credit_account"]
    search_help_text = "Id of the conversion, or the leg's own"
    number_fields = ["conversion_id", "pk"]


class HistoryAdmin(SearchedAdmin):
    """What happened to one conversion or transfer, by its id."""

    search_help_text = "Id of the conversion or transfer"
    list_filter = ["subject"]
    number_fields = ["subject_id"]

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        """Of any subject, which the index begins with."""
        subjects = [value for value, _ in self.model._meta.get_field("subject").choices]
        return super().get_search_results(request, queryset.filter(subject__in=subjects), search_term)


@admin.register(StateChange)
class StateChangeAdmin(HistoryAdmin):
    list_display = ["at", "subject", "subject_id", "from_state", "to_state", "by", "why"]


@admin.register(Attempt)
class AttemptAdmin(HistoryAdmin):
    list_display = [
        *(
            "sent_at",
            "subject",
            "subject_id",
            "call",
            "outcome",
            "follow",
            "code",
            "http_status",
            "answered_at",
        ),
        "request_id",
    ]


@admin.register(VenueAccount)
class VenueAccountAdmin(SearchedAdmin):
    list_display = ["id", "venue", "account_id", "adopted_at", "adopted_by", "why"]
    text_fields = ["account_id", "venue"]


@admin.register(VenueHalt)
class VenueHaltAdmin(OperatedAdmin):
    subject = Subject.HALT
    list_display = [
        "id",
        "venue",
        "underlying",
        "reason",
        "began_at",
        "since",
        "asked",
        "ask_at",
        "lifted_at",
        "lifted_by",
    ]
    list_filter = [("lifted_at", admin.EmptyFieldListFilter)]
    text_fields = ["venue"]
    actions = ["lift_halt"]

    def has_lift_permission(self, request: HttpRequest) -> bool:
        """Decides on the server who is offered the action and whose request for it is obeyed."""
        return request.user.has_perm("settlement.lift_venuehalt")

    @action(description="Lift the halt", permissions=["lift"])
    def lift_halt(self, request: HttpRequest, queryset: QuerySet[VenueHalt]) -> None:
        """Let the venue have orders again although it has not answered; it is halted anew if it refuses them."""
        lifted = halts.lift_by_hand(queryset, by=request.user.get_username(), now=clock.of("desk").now())
        level = messages.SUCCESS if lifted else messages.WARNING
        text = f"{lifted} of the selected halts lifted."
        if queryset.filter(reason__startswith=halts.OTHER_ACCOUNT, lifted_at__isnull=True).exists():
            text += " Another account than that of the books is taken over by manage.py adopt_venue_account alone."
        if queryset.filter(reason=halts.RESTORED, lifted_at__isnull=True).exists():
            text += " A restored desk is let go by manage.py after_restore, or by two people on its page: it would "
            text += "buy again what it forgot."
        self.message_user(request, text, level)


@admin.register(AcceptedOrder)
class OperatedOrderAdmin(OperatedAdmin, AcceptedOrderAdmin):
    """Here, because what disowns an order is an intervention."""

    subject = Subject.ORDER
    takes_batches = True
    action_form = BatchForm


@admin.register(LateFee)
class LateFeeAdmin(SearchedAdmin):
    """Valued by the desk when the asset has a price; by a person who knows its worth when it has none."""

    list_display = [
        "id",
        "conversion_id",
        "amount",
        "asset",
        "taken_at",
        "worth_usdt",
        "valued_at",
        "valued_by",
    ]
    list_filter = ["asset", ("valued_at", admin.EmptyFieldListFilter)]
    number_fields = ["conversion_id", "pk"]
    fields = ["conversion", "amount", "asset", "taken_at", "worth_usdt", "valued_at", "valued_by"]
    readonly_fields = ["conversion", "amount", "asset", "taken_at", "valued_at", "valued_by"]

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Decides on the server who may enter a worth: once, where there is none."""
        may = request.user.has_perm("settlement.value_latefee")
        return may and (obj is None or obj.valued_at is None)

    def save_model(self, request: HttpRequest, obj: LateFee, form: Any, change: bool) -> None:
        """Enter it, unless it has been valued meanwhile."""
        by, worth = request.user.get_username(), form.cleaned_data["worth_usdt"]
        if not late_fees.value_by_hand(obj, worth, by=by, now=clock.of("desk").now()):
            self.message_user(request, "It has been valued meanwhile.", messages.WARNING)


@admin.register(Conflict)
class ConflictAdmin(OperatedAdmin):
    """Here, because what resolves a conflict is an intervention."""

    subject = Subject.CONFLICT
    takes_batches = True
    action_form = BatchForm
    timeline = link_column("timeline", page="order_timeline", by="order_id")
    list_display = ["id", "source", "order_id", "timeline", "reason", "door", "noted_at", "resolved_at"]
    list_filter = ["reason", "door", ("resolved_at", admin.EmptyFieldListFilter), age_filter("noted_at")]
    search_help_text = "Counter's id of the order"
    number_fields = ["order_id", "pk"]


admin.site.register(Intervention, InterventionAdmin)
admin.site.register(Batch, BatchAdmin)
admin.site.register(ClearingPayment, ClearingPaymentDecisionAdmin)
admin.site.register(BatchRow, BatchRowAdmin)
admin.site.register(ReconciliationBreak, ReconciliationBreakAdmin)
admin.site.register(ReconciliationRun, ReconciliationRunAdmin)
