"""Amounts as people read them: thousands apart, without zeros that say nothing, and differences with their sign."""

import re
from decimal import Decimal

# A number with decimals, or with more than four digits, that is part of no name, date, time or id of ours.
_AMOUNT = re.compile(r"(?<![\w.:/-])-?\d+\.\d+(?![\w.:/-]*\d)|(?<![\w.:/-])-?\d{5,}(?= (?:USDT|BTC|ETH)\b)")


def amount_text(amount: Decimal) -> str:
    """12,345.5 for 12345.50000000: every digit that counts, and no other."""
    text = f"{amount:,f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def difference(amount: Decimal) -> str:
    """The same with its sign, also above zero."""
    return amount_text(amount) if amount < 0 else f"+{amount_text(amount)}"


def readable(text: str) -> str:
    """A sentence with every amount in it as `amount_text` has it; names, times and ids stay as they are."""
    return _AMOUNT.sub(lambda found: amount_text(Decimal(found.group())), text)
