"""The lines of a day's statement as people read them, on the page and in the PDF."""

from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

from django.db import Error

from cockpit.numbers import exact_text
from infra.db.transient_errors import is_transient, leave_session
from settlement.models import ReconciliationRun

CUSTOMERS_SHOWN = 15


def account_lines(rows: list[list[str]]) -> list[tuple[str, ...]]:
    """The systems' accounts each, and the customers' in one line."""
    shown, customers = [], [Decimal(0)] * 4
    count = 0
    for book, code, asset, *amounts, _ in rows:
        if book == "counter" and code.startswith("customer:"):
            count += 1
            customers = [total + Decimal(amount) for total, amount in zip(customers, amounts, strict=True)]
        else:
            shown.append((book, code, asset, *map(amount_text, amounts)))
    if count:
        shown.insert(0, ("counter", f"customers ({count:,})", "USDT", *map(exact_text, customers)))
    return shown


def customer_lines(rows: list[list[str]]) -> list[tuple[str, ...]]:
    """Those who brought or cost most; the file has each."""
    largest = sorted(rows, key=lambda row: -abs(Decimal(row[-1])))[:CUSTOMERS_SHOWN]
    return [
        (customer or "–", coin or "–", asset, amount_text(amount))
        for customer, coin, asset, amount in largest
    ]


def cost_lines(rows: list[list[str]]) -> list[tuple[str, ...]]:
    """Slippage, fees and rounding of those with the largest of them; the file has each."""
    largest = sorted(rows, key=lambda row: -abs(Decimal(row[-1])))[:CUSTOMERS_SHOWN]
    return [
        (customer or "–", cause, coin, asset, amount_text(amount))
        for customer, coin, cause, asset, amount in largest
    ]


def amount_text(text: Any) -> str:
    """An amount of a statement, with every digit that says something."""
    return exact_text(Decimal(text))


def venue_fact(day: date) -> str:
    """How far the day's fills and fees were held against the venue's own trades."""
    ends = datetime.combine(day, time.min, UTC) + timedelta(days=1)
    try:
        run = ReconciliationRun.objects.filter(unchecked="").order_by("-id").first()
    except Error as error:
        if not is_transient(error):
            raise
        leave_session(error)
        return "The desk's database does not answer: nothing is known of the venue's trades."
    if run is None or run.trades_until < ends:
        return "The day's fills and fees have not been held against the venue's trades whole yet."
    return (
        f"Every fill and fee up to {run.trades_until:%Y-%m-%d %H:%M:%S} UTC was held against the venue's trades at "
        f"{run.at:%Y-%m-%d %H:%M:%S} UTC: {run.open:,} differences were open."
    )
