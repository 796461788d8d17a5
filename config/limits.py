"""Limits from the environment, refused where they contradict each other: money depends on them."""

import os
from collections.abc import Iterable
from decimal import Decimal, InvalidOperation
from ipaddress import ip_network

from django.core.exceptions import ImproperlyConfigured

# (widened from, halted from), in the unit of what is measured.
Pair = tuple[Decimal, Decimal]


def rate(name: str, default: str, *, least: Decimal = Decimal(0)) -> Decimal:
    """A fraction in [`least`, 1).

    Raises: ImproperlyConfigured.
    """
    value = _number(name, os.environ.get(name, default))
    if not least <= value < 1:
        raise ImproperlyConfigured(f"{name} has to be from {least} to below 1, not {value}")
    return value


def count(name: str, default: str) -> int:
    """A whole number from 1 to a million.

    Raises: ImproperlyConfigured.
    """
    value = _number(name, os.environ.get(name, default))
    if value != value.to_integral_value() or not 1 <= value <= 1_000_000:
        raise ImproperlyConfigured(f"{name} has to be a whole number from 1 to a million, not {value}")
    return int(value)


def networks(name: str) -> list[str]:
    """Comma-separated networks in CIDR notation; none when it is not set.

    Raises: ImproperlyConfigured.
    """
    given = [text.strip() for text in os.environ.get(name, "").split(",") if text.strip()]
    try:
        return [str(ip_network(text)) for text in given]
    except ValueError as error:
        raise ImproperlyConfigured(f"{name}: {error}") from error


def amount(name: str, default: str) -> Decimal:
    """An amount that is not negative.

    Raises: ImproperlyConfigured.
    """
    value = _number(name, os.environ.get(name, default))
    if value < 0:
        raise ImproperlyConfigured(f"{name} has to be 0 or more, not {value}")
    return value


def whole(name: str, default: str, *, least: int = 0) -> int:
    """A whole number from `least` on.

    Raises: ImproperlyConfigured.
    """
    value = _number(name, os.environ.get(name, default))
    if value != value.to_integral_value() or value < least:
        raise ImproperlyConfigured(f"{name} has to be a whole number from {least} on, not {value}")
    return int(value)


def pair(widen: str, halt: str, defaults: tuple[str, str]) -> Pair:
    """The two limits of one cause, from the variables `widen` and `halt`.

    Raises: ImproperlyConfigured.
    """
    texts = [os.environ.get(name, default) for name, default in zip((widen, halt), defaults, strict=True)]
    return _ordered(widen, halt, texts)


def pairs_by_coin(widen: str, halt: str, defaults: tuple[str, str], coins: Iterable[str]) -> dict[str, Pair]:
    """The same for each coin: a variable holds one number for all coins, or `BTC=1,ETH=2`.

    Raises: ImproperlyConfigured, also for a coin that is missing.
    """
    texts = [os.environ.get(name, default) for name, default in zip((widen, halt), defaults, strict=True)]
    return {coin: _ordered(widen, halt, [_of_coin(text, coin) for text in texts]) for coin in coins}


def _ordered(widen: str, halt: str, texts: list[str]) -> Pair:
    first, second = (_number(name, text) for name, text in zip((widen, halt), texts, strict=True))
    if not 0 <= first <= second:
        raise ImproperlyConfigured(f"{widen} ({first}) has to be from 0 to {halt} ({second})")
    return first, second


def _of_coin(text: str, coin: str) -> str:
    if "=" not in text:
        return text
    parts = dict(part.strip().split("=", 1) for part in text.split(",") if "=" in part)
    if coin not in parts:
        raise ImproperlyConfigured(f"{text} says nothing of {coin}")
    return parts[coin]


def _number(name: str, text: str) -> Decimal:
    try:
        value = Decimal(text)
    except InvalidOperation as error:
        raise ImproperlyConfigured(f"{name}: {text} is not a number") from error
    if not value.is_finite():
        raise ImproperlyConfigured(f"{name}: {text} is not a number")
    return value
