"""Examples of the main operations, as the schema shows them; a test decodes each as its message.

They are written for one day and shown as of today, so that their option is one that can be listed.
"""

from datetime import date, datetime, timedelta
from decimal import Decimal

from drf_spectacular.utils import OpenApiExample

from counter.api.ids import EXAMPLES
from counter.market.symbols import EXPIRY_TIME, format_symbol
from counter.public_ids import Kind

WRITTEN_AS_OF = date(2026, 11, 24)
_EXPIRY = "27NOV26"
_EXPIRES_AFTER = timedelta(days=28)  # at least: on the Friday that comes then
_FRIDAY = 4

_OPENED = {
    "id": EXAMPLES[Kind.ORDER],
    "client_order_id": "bot7-000123",
    "type": "open",
    "symbol": "BTC-27NOV26-90000-C",
    "contracts": 2,
    "position_id": EXAMPLES[Kind.POSITION],
    "premium": "0.025000",
    "index_price": "90000.00000000",
    "coin": "0.00050000",
    "fair": "45.000000",
    "spread": "0.225000",
    "cost": "45.225000",
    "proceeds": None,
    "max_cost": "46.000000",
    "min_proceeds": None,
    "payout": "instant",
    "placed_at": "2026-11-24T12:00:00.000000Z",
    "quote_id": None,
}
_OPEN = {
    "type": "open",
    "client_order_id": "bot7-000123",
    "symbol": "BTC-27NOV26-90000-C",
    "contracts": 2,
    "max_cost": "46",
}
_CLOSE = {
    "type": "close",
    "client_order_id": "bot7-000124",
    "opened_by": "bot7-000123",
    "contracts": 1,
    "min_proceeds": "17.5",
    "payout": "instant",
}
_FIRM_QUOTE = {
    "quote_id": EXAMPLES[Kind.FIRM_QUOTE],
    "symbol": "BTC-27NOV26-90000-C",
    "side": "open",
    "position_id": None,
    "contracts": 2,
    "premium": "0.025000",
    "index_price": "90000.00000000",
    "fair": "45.000000",
    "spread": "0.225000",
    "cost": "45.225000",
    "proceeds": None,
    "given_at": "2026-11-24T12:00:00.000000Z",
    "expires_at": "2026-11-24T12:00:05.000000Z",
}

PLACE_ORDER = [
    OpenApiExample("Open two contracts for 46 USDT at most", _OPEN, request_only=True),
    OpenApiExample(
        "Open at a firm quote's price",
        {name: value for name, value in _OPEN.items() if name != "max_cost"}
        | {"quote_id": EXAMPLES[Kind.FIRM_QUOTE]},
        request_only=True,
    ),
    OpenApiExample("Close one of them, paid at once", _CLOSE, request_only=True),
    OpenApiExample(
        "Close what is left for what the venue pays",
        {
            "type": "close",
            "client_order_id": "bot7-000125",
            "opened_by": "bot7-000123",
            "min_proceeds": "17",
            "payout": "at_fill",
        },
        request_only=True,
    ),
    OpenApiExample("Opened", _OPENED, response_only=True, status_codes=["201"]),
]
PLACE_ORDERS = [
    OpenApiExample("An open, and a close of a part of it", {"orders": [_OPEN, _CLOSE]}, request_only=True),
    OpenApiExample(
        "One accepted, one refused",
        {
            "results": [
                {"status": 201, "order": _OPENED},
                {"status": 409, "error": {"code": "price_moved", "message": "proceeds 17.1 are below 17.5"}},
            ]
        },
        response_only=True,
        status_codes=["200"],
    ),
]
FIRM_QUOTE = [
    OpenApiExample(
        "What two contracts would cost",
        {"side": "open", "symbol": "BTC-27NOV26-90000-C", "contracts": 2},
        request_only=True,
    ),
    OpenApiExample(
        "What all that is left of a position would bring",
        {"side": "close", "position_id": EXAMPLES[Kind.POSITION]},
        request_only=True,
    ),
    OpenApiExample("Firm for five seconds", _FIRM_QUOTE, response_only=True, status_codes=["201"]),
]

_ENDPOINT = {
    "id": "whe_5f0c3a9d1e2b4c6d8e7f9a0b",
    "url": "https://bot.example.org/crossbook",
    "types": ["order.settled", "payout.credited"],
    "label": "bot 7",
    "enabled": True,
    "disabled_by": None,
    "failing_since": None,
    "created_at": "2026-11-24T12:00:00.000000Z",
}
REGISTER_WEBHOOK = [
    OpenApiExample(
        "Hear of settled orders and of payouts",
        {name: _ENDPOINT[name] for name in ("url", "types", "label")},
        request_only=True,
    ),
    OpenApiExample(
        "Registered",
        _ENDPOINT | {"secret": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"},
        response_only=True,
        status_codes=["201"],
    ),
]


def as_of(content: bytes, today: date) -> bytes:
    """The text of a schema with the days of its examples moved: written today, of an option that expires in a month."""
    earliest = today + _EXPIRES_AFTER
    expiry = earliest + timedelta(days=(_FRIDAY - earliest.weekday()) % 7)
    symbol = format_symbol(
        underlying="BTC",
        expiry_at=datetime.combine(expiry, EXPIRY_TIME),
        strike=Decimal(90_000),
        kind="C",
    )
    moved = {
        f"-{_EXPIRY}-": f"-{symbol.split('-')[1]}-",
        f"{WRITTEN_AS_OF:%Y-%m-%d}": f"{today:%Y-%m-%d}",
        f"{WRITTEN_AS_OF:%Y-%m}.": f"{today:%Y-%m}.",
    }
    for written, shown in moved.items():
        content = content.replace(written.encode(), shown.encode())
    return content
