"""A paper venue's engine in the hands of a test: time and price move only when told to."""

from __future__ import annotations

import itertools
from decimal import Decimal

from tools.paper_venue.commission import Commission
from tools.paper_venue.engine import Engine
from tools.paper_venue.market import DepthShape, Market
from tools.paper_venue.orders import NewOrder
from tools.paper_venue.prices.quotes import Print, Quote
from tools.paper_venue.records import Event, Funded, OrderType, Side, TimeInForce, Wallet
from tools.paper_venue.state import State
from tools.paper_venue.symbols import SYMBOLS

START_MS = 1_770_000_000_000
ACCOUNT = "alice"
START_PRICES = {"BTCUSDT": Decimal("90000"), "ETHUSDT": Decimal("3000"), "BNBUSDT": Decimal("900")}
FUNDS = {"USDT": Decimal("1000000"), "BTC": Decimal("10"), "ETH": Decimal("100"), "BNB": Decimal("50")}


class SteadyPrice:
    """A price source that stands still until it is set."""

    def __init__(self, *, bid: Decimal, tick: Decimal) -> None:
        self._tick = tick
        self.set(bid)

    def set(self, bid: Decimal) -> None:
        self.quote = Quote(bid, bid + self._tick)

    def advance(self, *, now_ms: int) -> list[Print]:
        return []


class Bench:
    """An engine with everything it stands on."""

    def __init__(
        self, *, depth: DepthShape | None = None, commission: Commission | None = None, accounts=(ACCOUNT,)
    ) -> None:
        self.now_ms = START_MS
        self.events: list[Event] = []
        self.state = State()
        self.sources = {
            name: SteadyPrice(bid=START_PRICES[name], tick=symbol.tick) for name, symbol in SYMBOLS.items()
        }
        markets = {
            name: Market(
                symbol=symbol,
                source=self.sources[name],
                depth=depth or DepthShape(),
                seed=1,
                now_ms=START_MS,
            )
            for name, symbol in SYMBOLS.items()
        }
        self.engine = Engine(
            state=self.state,
            markets=markets,
            commission=commission or Commission(),
            record=self.events.append,
        )
        self._ids = itertools.count(1)
        for account, (asset, amount) in itertools.product(accounts, FUNDS.items()):
            for wallet in Wallet:
                event = Funded(account, wallet, asset, amount, START_MS)
                self.events.append(event)
                self.state.apply(event)

    def place(self, side: str, quantity="0.1", price=None, *, account=ACCOUNT, symbol="BTCUSDT", **terms):
        """Place a limit order (market without a price) and return its OrderChanged."""
        request = NewOrder(
            symbol=symbol,
            side=Side(side),
            order_type=OrderType(terms.pop("order_type", "MARKET" if price is None else "LIMIT")),
            client_order_id=terms.pop("client_order_id", f"c{next(self._ids)}"),
            time_in_force=TimeInForce(terms.pop("time_in_force", "GTC")),
            quantity=None if quantity is None else Decimal(quantity),
            price=None if price is None else Decimal(price),
            **terms,
        )
        return self.engine.place_order(account=account, request=request, now_ms=self.now_ms)

    def move(self, price: str, *, symbol="BTCUSDT", after_ms=100) -> None:
        """Let the price stand at ``price`` from now on."""
        self.now_ms += after_ms
        self.sources[symbol].set(Decimal(price))
        self.engine.advance(symbol=symbol, now_ms=self.now_ms)

    def balance(self, asset: str, *, account=ACCOUNT, wallet=Wallet.SPOT):
        return self.state.account(account).wallet(wallet)[asset]
