"""`trade.numbers` as filters, written as the language does; what is not there stays empty."""

from collections.abc import Callable
from decimal import Decimal

from django import template

from trade import numbers
from trade.localized_numbers import written

register = template.Library()


def _or_nothing(text_of: Callable[[Decimal], str]) -> Callable[[object], str]:
    # Where an object is None, Django hands the empty text on as its attribute.
    return lambda amount: written(text_of(amount)) if isinstance(amount, Decimal) else ""


for text_of in (
    *(numbers.exact, numbers.full, numbers.to_pay, numbers.to_get),
    *(numbers.gain, numbers.to_cent, numbers.near, numbers.level),
):
    register.filter(text_of.__name__, _or_nothing(text_of))
register.filter("written", written)
