"""What a person fills in for an operation; whether it makes sense is the operation's own to judge."""

from datetime import UTC
from typing import Any

from django import forms
from unfold.widgets import (
    UnfoldAdminDecimalFieldWidget,
    UnfoldAdminTextareaWidget,
    UnfoldAdminTextInputWidget,
)

from settlement.interventions.operations import Operation
from settlement.interventions.terms import FoundTerms, HandTrade, HoldTerms, OrderTerms, Terms
from settlement.netting.units import worth_usdt

TIME_FORMAT = "%Y-%m-%d %H:%M:%S.%f"
MAX_TRADES = 200


def _text(label: str, *, help_text: str = "", max_length: int = 64) -> forms.CharField:
    return forms.CharField(
        label=label, max_length=max_length, help_text=help_text, widget=UnfoldAdminTextInputWidget
    )


def _amount(label: str, *, left_out: str = "") -> forms.DecimalField:
    """An amount; `left_out` says what it means to leave it out, if it may be."""
    return forms.DecimalField(
        label=label,
        max_digits=28,
        decimal_places=8,
        required=not left_out,
        help_text=left_out,
        widget=UnfoldAdminDecimalFieldWidget(attrs={"step": "any", "inputmode": "decimal"}),
    )


class WhyForm(forms.Form):
    """Reason and evidence, and the state and version in which the row was seen."""

    reason = forms.CharField(
        help_text="For everybody who reads the history.", widget=UnfoldAdminTextareaWidget(attrs={"rows": 3})
    )
    evidence = forms.CharField(
        help_text="What shows it: the venue's ticket, a statement, a screenshot. The approver relies on it.",
        widget=UnfoldAdminTextareaWidget(attrs={"rows": 3}),
    )
    seen_state = forms.CharField(widget=forms.HiddenInput)
    seen_version = forms.IntegerField(widget=forms.HiddenInput)

    def __init__(self, *args: Any, operation: Operation, **options: Any) -> None:
        super().__init__(*args, **options)
        if not operation.needs_two:
            del self.fields["evidence"]


class FoundForm(WhyForm):
    """With the venue's id of a transfer."""

    venue_transfer_id = _text("Id of the transfer at the venue")
    field_order = ["venue_transfer_id"]


class OrderForm(WhyForm):
    """With the venue's id of an order; its trades are a formset of their own."""

    venue_order_id = _text("Id of the order at the venue")
    field_order = ["venue_order_id"]


class HoldForm(WhyForm):
    """With the conversions that a restored desk goes on without."""

    conversions = forms.RegexField(
        r"^\s*\d{1,18}(\s*,\s*\d{1,18})*\s*$",
        label="Conversions",
        max_length=2000,
        help_text="Those that cannot be proven, with commas between, as manage.py after_restore lists them.",
        widget=UnfoldAdminTextInputWidget,
    )
    field_order = ["conversions"]


class TradeForm(forms.Form):
    """One trade."""

    venue_trade_id = _text("Trade id")
    price = _amount("Price")
    coin = _amount("Coin")
    usdt = _amount("USDT", left_out="Price times coin, if left out.")
    fee = _amount("Fee")
    fee_asset = _text("Fee in", max_length=8)
    fee_usdt = _amount("Fee, in USDT", left_out="Of a fee in a third asset only.")
    traded_at = forms.DateTimeField(
        label="Time (UTC)",
        input_formats=[TIME_FORMAT, "%Y-%m-%d %H:%M:%S", "%Y-%m-%d %H:%M"],
        widget=UnfoldAdminTextInputWidget(attrs={"placeholder": "2026-11-24 09:30:00"}),
    )

    def trade(self) -> HandTrade:
        """What was filled in."""
        values = dict(self.cleaned_data)
        if values["usdt"] is None:
            values["usdt"] = worth_usdt(values["price"], values["coin"])
        values["fee_asset"] = values["fee_asset"].upper()
        return HandTrade(**values)


TradeFormSet = forms.formset_factory(
    TradeForm, extra=0, min_num=1, max_num=MAX_TRADES, absolute_max=MAX_TRADES, validate_max=True
)
FORMS: dict[type[Terms], type[WhyForm]] = {
    Terms: WhyForm,
    FoundTerms: FoundForm,
    OrderTerms: OrderForm,
    HoldTerms: HoldForm,
}


def trades_as_initial(terms: OrderTerms) -> list[dict[str, Any]]:
    """The venue's trades, to be shown in the form."""
    return [
        {
            **{name: getattr(trade, name) for name in trade.__struct_fields__},
            "traded_at": trade.traded_at.astimezone(UTC).strftime(TIME_FORMAT),
        }
        for trade in terms.trades
    ]
