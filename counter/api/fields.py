"""The fields that messages of the API share; amounts leave as strings with their full scale."""

from decimal import ROUND_HALF_EVEN, Decimal
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from counter.pricing.formulas import COIN_UNIT, USDT_UNIT
from ledger.decimals import rounded

# `(?!\n)`: a bare `$` would let a newline at the end through.
ClientOrderId = Annotated[
    str,
    Meta(
        pattern=r"^[A-Za-z0-9_.:-]{1,64}(?!\n)$",
        description="The customer's own id of the order, unique among the customer's orders.",
        examples=["bot7-000123"],
    ),
]
OrderName = Annotated[
    str,
    Meta(
        pattern=r"^[A-Za-z0-9_.:/-]{1,64}(?!\n)$",
        description="An order's client_order_id: the customer's own, or `exercise/` and the position's id.",
        examples=["bot7-000123", "exercise/pos_a41e812b3736b5613b45a212abd6a082"],
    ),
]
Symbol = Annotated[
    str, Meta(pattern=r"^[A-Z0-9-]{3,32}(?!\n)$", description="An option.", examples=["BTC-27NOV26-90000-C"])
]
Underlying = Annotated[str, Meta(pattern=r"^[A-Z]{2,8}(?!\n)$", description="A coin.", examples=["BTC"])]
Contracts = Annotated[int, Meta(ge=1, le=1_000_000, description="Whole contracts.")]
OrderType = Annotated[Literal["open", "close", "exercise"], Meta(title="OrderType")]
Payout = Annotated[
    Literal["instant", "at_fill"],
    Meta(title="Payout", description="When a close is paid: `instant` unless the order says otherwise."),
]

AmountText = Annotated[
    str,
    Meta(
        pattern=r"^[0-9]{1,14}(\.[0-9]{1,6})?(?!\n)$",
        description="USDT, up to 6 decimals.",
        examples=["125.50"],
    ),
]
AmountInteger = Annotated[int, Meta(ge=0, le=10**14 - 1, description="USDT, whole.")]
Amount = AmountText | AmountInteger
"""USDT as asked: a string of up to 6 decimals or a JSON integer; a JSON float is refused."""

Usdt = Annotated[str, Meta(description="USDT, 6 decimals.", examples=["125.500000"])]
Coin = Annotated[str, Meta(description="Coin, 8 decimals.", examples=["0.00120000"])]
Premium = Annotated[str, Meta(description="Coin for one coin of the underlying, 6 decimals.")]
Price = Annotated[str, Meta(description="USDT for one coin, 8 decimals.", examples=["64250.10000000"])]


class Query(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """Base of query parameters: unknown ones are refused."""


def read_amount(asked: str | int | None) -> Decimal | None:
    """USDT as asked, at the stored scale."""
    return None if asked is None else rounded(Decimal(asked), USDT_UNIT, ROUND_HALF_EVEN)


def usdt(value: Decimal) -> str:
    """USDT with 6 decimals. Stored amounts have no more of them; what is half a unit finer rounds half-even."""
    return str(rounded(value, USDT_UNIT, ROUND_HALF_EVEN))  # which writes an exponent from the seventh on


def coin(value: Decimal) -> str:
    """Coin, or USDT for one coin, with 8 decimals."""
    return f"{rounded(value, COIN_UNIT, ROUND_HALF_EVEN):f}"


premium = usdt
