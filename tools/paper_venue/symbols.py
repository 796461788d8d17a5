"""The symbols the venue lists and the filters each order on them must pass.

The figures are those of Binance's own exchangeInfo (2025-08 for BTCUSDT), so that a client rounding for Binance rounds
for this venue.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from tools.paper_venue.amounts import text

QUOTE_ASSET = "USDT"
AVERAGE_PRICE_MINUTES = 5
MAX_OPEN_ORDERS = 200
ORDER_TYPES = ["LIMIT", "LIMIT_MAKER", "MARKET"]
PREVENTION_MODES = ["NONE", "EXPIRE_TAKER", "EXPIRE_MAKER", "EXPIRE_BOTH", "DECREMENT"]


@dataclass(frozen=True, slots=True)
class Symbol:
    """A pair with its trading rules: prices in ``quote`` for one ``base``."""

    name: str
    base: str
    tick: Decimal
    step: Decimal
    market_max_quantity: Decimal
    start_price: Decimal
    quote: str = QUOTE_ASSET
    status: str = "TRADING"
    max_price: Decimal = Decimal("1000000")
    max_quantity: Decimal = Decimal("9000")
    min_notional: Decimal = Decimal("5")
    max_notional: Decimal = Decimal("9000000")
    multiplier_up: Decimal = Decimal("5")
    multiplier_down: Decimal = Decimal("0.2")

    @property
    def filters(self) -> list[dict[str, Any]]:
        return [
            {
                "filterType": "PRICE_FILTER",
                "minPrice": text(self.tick),
                "maxPrice": text(self.max_price),
                "tickSize": text(self.tick),
            },
            {
                "filterType": "LOT_SIZE",
                "minQty": text(self.step),
                "maxQty": text(self.max_quantity),
                "stepSize": text(self.step),
            },
            {
                "filterType": "MARKET_LOT_SIZE",
                "minQty": "0.00000000",
                "maxQty": text(self.market_max_quantity),
                "stepSize": "0.00000000",
            },
            {
                "filterType": "PERCENT_PRICE_BY_SIDE",
                "bidMultiplierUp": str(self.multiplier_up),
                "bidMultiplierDown": str(self.multiplier_down),
                "askMultiplierUp": str(self.multiplier_up),
                "askMultiplierDown": str(self.multiplier_down),
                "avgPriceMins": AVERAGE_PRICE_MINUTES,
            },
            {
                "filterType": "NOTIONAL",
                "minNotional": text(self.min_notional),
                "applyMinToMarket": True,
                "maxNotional": text(self.max_notional),
                "applyMaxToMarket": False,
                "avgPriceMins": AVERAGE_PRICE_MINUTES,
            },
            {"filterType": "MAX_NUM_ORDERS", "maxNumOrders": MAX_OPEN_ORDERS},
        ]

    @property
    def info(self) -> dict[str, Any]:
        """This symbol's entry in ``GET /api/v3/exchangeInfo``."""
        return {
            "symbol": self.name,
            "status": self.status,
            "baseAsset": self.base,
            "baseAssetPrecision": 8,
            "quoteAsset": self.quote,
            "quotePrecision": 8,
            "quoteAssetPrecision": 8,
            "baseCommissionPrecision": 8,
            "quoteCommissionPrecision": 8,
            "orderTypes": ORDER_TYPES,
            "icebergAllowed": False,
            "ocoAllowed": False,
            "otoAllowed": False,
            "quoteOrderQtyMarketAllowed": True,
            "allowTrailingStop": False,
            "cancelReplaceAllowed": False,
            "amendAllowed": False,
            "isSpotTradingAllowed": True,
            "isMarginTradingAllowed": False,
            "filters": self.filters,
            "permissions": [],
            "permissionSets": [["SPOT"]],
            "defaultSelfTradePreventionMode": "EXPIRE_MAKER",
            "allowedSelfTradePreventionModes": PREVENTION_MODES,
        }


SYMBOLS: dict[str, Symbol] = {
    symbol.name: symbol
    for symbol in (
        Symbol(
            name="BTCUSDT",
            base="BTC",
            tick=Decimal("0.01"),
            step=Decimal("0.00001"),
            market_max_quantity=Decimal("88.09927941"),
            start_price=Decimal("90000"),
        ),
        Symbol(
            name="ETHUSDT",
            base="ETH",
            tick=Decimal("0.01"),
            step=Decimal("0.0001"),
            market_max_quantity=Decimal("1585.43211640"),
            start_price=Decimal("3000"),
        ),
        Symbol(
            name="BNBUSDT",
            base="BNB",
            tick=Decimal("0.01"),
            step=Decimal("0.001"),
            market_max_quantity=Decimal("1200.55000000"),
            start_price=Decimal("880"),
        ),
    )
}
ASSETS: tuple[str, ...] = (QUOTE_ASSET, *(symbol.base for symbol in SYMBOLS.values()))
