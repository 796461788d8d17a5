"""What a refusal by a limit tells programs: of what, how much it is, and how much of it is left. Pure."""

from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

Limited = Literal[
    "contracts",
    "notional",
    "orders_per_s",
    "balance",
    "quotes",
    "quotes_notional",
    "streams",
    "orders",
    "body_bytes",
]


@dataclass(frozen=True, slots=True)
class Reached:
    """The limit that something would have gone beyond, and how much of it there was `left`; Decimals are USDT.

    `limit` is None where it is not the caller's own: a series' would tell what others have open.
    """

    field: Limited
    left: int | Decimal
    limit: int | Decimal | None = None
