"""The page "Balances": what is owed and held, the desk's accounts, wallets against their bands, what falls due when."""

from decimal import Decimal
from typing import Any

from django.conf import settings
from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from cockpit import charts
from cockpit.balances import Balances, Wallet, read
from cockpit.dashboard import Bar, Row
from cockpit.numbers import age_text, exact_text, usdt_text
from cockpit.risk import shared_risk
from cockpit.sharing import Shared
from infra.coordination import clock
from ledger.decimals import product

NEEDED = ("counter.view_account", "counter.view_position", "settlement.view_deskaccount")
WHAT_IT_HOLDS = {
    "venue": "trading wallet at the venue",
    "inventory": "reserve wallet at the venue",
    "counter": "what counter owes the desk",
    "options": "coin owed to the options book",
    "trading": "the two sides of conversions: what stays is carried",
    "fees": "paid to the venue",
    "pnl:conversion": "result of conversions",
    "rounding": "result of rounding",
    "cash": "held outside of the venue",
    "capital": "what the wallets held before the first order",
    "suspense": "not explained yet",
}

ABOVE_THE_BAND = Decimal("1.25")  # where a wallet's scale ends

shared_balances = Shared(lambda *, now: read(risk=shared_risk.current(now=now), now=now))


def rows(found: Balances) -> dict[str, Any]:
    """Everything that the page shows of one reading."""
    run = found.reconciled
    owed = [
        _row("customers' balances", f"{found.customers:,} customers", found.customer_balances),
        _row("withdrawals not paid out", f"{found.withdrawals:,} reserved", found.reserved),
        _row("options that customers hold", "at the marks", found.options),
    ]
    held = [
        _row(
            "at the exchange's wallet", "deposits less what was paid out, and clearing", found.cash_at_counter
        ),
        _row("at the venue", "both wallets by the desk's book, coin at the index", found.at_venue),
        _row("cash of the desk", "outside of the venue", found.desk_cash),
    ]
    own = found.held - found.owed
    cumulative = Decimal(0)
    ladder = []
    for rung in found.ladder:
        cumulative += rung.payout
        days = (rung.expires_at - found.at).total_seconds()
        due = f"in {age_text(days)}" if days > 0 else "waits for its settlement"
        ladder.append(
            Row(
                (
                    f"{rung.expires_at:%Y-%m-%d %H:%M} UTC",
                    rung.coin,
                    f"{rung.contracts:,}",
                    usdt_text(rung.worth),
                    usdt_text(rung.payout),
                    usdt_text(cumulative),
                    due,
                )
            )
        )
    return {
        "at": found.at,
        "owed": owed,
        "owed_in_all": usdt_text(found.owed),
        "held": held,
        "held_in_all": usdt_text(found.held),
        "own": usdt_text(own),
        "without_price": found.without_price,
        "is_short": own < 0,
        "unpriced": found.unpriced,
        "wallets": [_wallet(each) for each in found.wallets],
        "accounts": [
            Row((each.code, WHAT_IT_HOLDS.get(each.code, ""), each.asset, exact_text(each.amount)))
            for each in found.desk
        ],
        "ladder": ladder,
        "instant": usdt_text(settings.EXPIRY_INSTANT_PAYOUT_USDT),
        "series": [
            Row(
                (net.symbol, f"{net.contracts:,}", exact_text(net.coin), net.underlying, f"{net.positions:,}")
            )
            for net in (each.net for each in found.series)
        ],
        "reconciled": (
            f"{age_text(max((found.at - run.at).total_seconds(), 0))} ago, {run.open:,} breaks open"
            if run
            else "never"
        ),
    }


def _row(name: str, note: str, amount: Decimal) -> Row:
    return Row((name, note, usdt_text(amount)), level="loss" if amount < 0 else "")


def _wallet(wallet: Wallet) -> Bar:
    """The trading wallet on a scale to a quarter above its band."""
    top = product(wallet.high, ABOVE_THE_BAND)
    inside = wallet.low <= wallet.trading <= wallet.high
    return Bar(
        name=wallet.asset,
        value=f"{exact_text(wallet.trading)} {wallet.asset}",
        percent=charts.share_percent(max(wallet.trading, Decimal(0)), top),
        note=(
            f"{'within' if inside else 'outside of'} {exact_text(wallet.low)} to {exact_text(wallet.high)}, "
            f"brought to {exact_text(wallet.target)}; in reserve {exact_text(wallet.reserve)}"
        ),
        level="normal" if inside else "wide" if wallet.trading > wallet.high else "halted",
        marks=tuple(charts.share_percent(mark, top) for mark in (wallet.low, wallet.target, wallet.high)),
    )


@require_safe
def balances(request: HttpRequest) -> HttpResponse:
    """The page."""
    if not request.user.has_perms(NEEDED):
        raise PermissionDenied
    found = shared_balances.current(now=clock.of("default").now())
    context = {**admin.site.each_context(request), "title": "Balances", "balances": rows(found)}
    return render(request, "cockpit/balances.html", context)
