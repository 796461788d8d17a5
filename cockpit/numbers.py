"""Amounts and times as people read them: thousands and a true minus sign. To look at, never to book."""

from datetime import datetime
from decimal import ROUND_HALF_EVEN, Decimal

from ledger.decimals import rounded

CENT = Decimal("0.01")


def usdt_text(amount: Decimal) -> str:
    """USDT to the cent, with its sign where it is a loss; never a zero with a sign."""
    cents = rounded(amount, CENT, ROUND_HALF_EVEN)
    return _minus(f"{cents if cents else cents.copy_abs():,}")


def small_usdt_text(amount: Decimal) -> str:
    """USDT to the cent; of less than one its first four digits, so that no loss looks like none."""
    if not amount or amount.copy_abs() >= 1:
        return usdt_text(amount)
    return exact_text(rounded(amount, Decimal(1).scaleb(amount.adjusted() - 3), ROUND_HALF_EVEN))


def whole_text(measure: float) -> str:
    """A measure of risk without decimals: 12,345 or −678; never a zero with a sign."""
    return _minus(f"{round(measure) + 0:,}")


def decimal_text(measure: float, decimals: int) -> str:
    """The same with decimals."""
    text = f"{measure:,.{decimals}f}"
    return _minus(text if text.strip("-0.,") else text.lstrip("-"))


def exact_text(amount: Decimal) -> str:
    """An amount of a book with all the digits that it has, in thousands, without zeros at its end."""
    text = f"{amount or Decimal(0):,f}"
    return _minus(text.rstrip("0").rstrip(".") if "." in text else text)


def moment_text(at: datetime) -> str:
    """A moment to the minute, with its zone."""
    return f"{at:%Y-%m-%d %H:%M} UTC"


def age_text(seconds: float | None) -> str:
    """A duration for people: the largest unit that fits, with one decimal below ten."""
    if seconds is None:
        return "–"
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    for unit, length in (("s", 60), ("min", 3600), ("h", 86_400)):
        if seconds < length:
            value = seconds / (length / {"s": 60, "min": 60, "h": 24}[unit])
            return f"{value:.1f} {unit}" if value < 10 else f"{value:.0f} {unit}"
    return f"{seconds / 86_400:.1f} d"


def _minus(text: str) -> str:
    return text.replace("-", "−")
