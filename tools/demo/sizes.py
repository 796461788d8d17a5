"""The demo's size, as the environment gives it."""

from collections.abc import Mapping
from dataclasses import dataclass


class SizeInvalid(ValueError):
    """A DEMO_ variable is no positive whole number."""


@dataclass(frozen=True, slots=True)
class Sizes:
    """How many orders of how many customers in how many seconds."""

    orders: int
    customers: int
    seconds: int


def read_sizes(environment: Mapping[str, str]) -> Sizes:
    """DEMO_ORDERS, DEMO_CUSTOMERS, DEMO_SECONDS, or 1,000 orders of 20 customers in 20 s. Raises: SizeInvalid."""
    return Sizes(
        orders=_positive(environment, "DEMO_ORDERS", 1000),
        customers=_positive(environment, "DEMO_CUSTOMERS", 20),
        seconds=_positive(environment, "DEMO_SECONDS", 20),
    )


def _positive(environment: Mapping[str, str], name: str, default: int) -> int:
    text = environment.get(name) or str(default)
    if not (text.isascii() and text.isdecimal() and 0 < int(text) <= 1_000_000):
        raise SizeInvalid(f"{name} has to be a whole number from 1 to 1,000,000, not {text!r}")
    return int(text)
