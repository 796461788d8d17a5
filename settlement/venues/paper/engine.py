"""The matching engine: takes orders, cancels and transfers, and lets resting orders fill as the price moves.

Whatever it decides becomes one event, is handed to ``record`` (the journal) and only then applied and answered: an
operation is either wholly remembered or did not happen. Time is handed in with every call.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from decimal import Decimal

from settlement.venues.paper import filters
from settlement.venues.paper.amounts import ZERO, truncate
from settlement.venues.paper.errors import (
    DuplicateOrder,
    InsufficientBalance,
    TransferUnfunded,
    UnknownOrder,
    WouldTake,
)
from settlement.venues.paper.market import Market
from settlement.venues.paper.matching import Fill, crosses, match_quantity, match_quote
from settlement.venues.paper.prices.quotes import Print
from settlement.venues.paper.records import (
    BurnSwitched,
    Event,
    Funded,
    Order,
    OrderChanged,
    OrderStatus,
    OrderType,
    Side,
    TimeInForce,
    Trade,
    Transfer,
    Transferred,
    Wallet,
)
from settlement.venues.paper.state import Account, State
from settlement.venues.paper.symbols import Symbol

BNB = "BNB"
BNB_SYMBOL = "BNBUSDT"
BNB_DISCOUNT = Decimal("0.75")
RESTART_TRADE_ID_GAP = 10_000_000


@dataclass(frozen=True, slots=True)
class Commission:
    """Commission rates as fractions of what is received."""

    maker: Decimal = Decimal("0.001")
    taker: Decimal = Decimal("0.001")


@dataclass(frozen=True, slots=True)
class NewOrder:
    """An order as asked for; exactly one of ``quantity`` and ``quote_quantity`` is set, ``price`` for limit orders."""

    symbol: str
    side: Side
    order_type: OrderType
    client_order_id: str
    time_in_force: TimeInForce = TimeInForce.GTC
    quantity: Decimal | None = None
    quote_quantity: Decimal | None = None
    price: Decimal | None = None
    prevention_mode: str = "EXPIRE_MAKER"


class Engine:
    """See the module. ``record`` must have stored the event when it returns."""

    def __init__(
        self,
        *,
        state: State,
        markets: dict[str, Market],
        commission: Commission,
        record: Callable[[Event], None],
    ) -> None:
        self.state = state
        self.markets = markets
        self.commission = commission
        self._record = record
        # Public prints take trade ids without being journalled: a restart skips what they may have used.
        self._last_trade_id = state.last_trade_id + RESTART_TRADE_ID_GAP if state.last_trade_id else 0

    def advance(self, *, symbol: str, now_ms: int) -> None:
        """Move one market's price on and fill the resting orders it has passed."""
        market = self.markets[symbol]
        for item in market.advance(now_ms=now_ms):
            market.record_print(trade_id=self._next_trade_id(), item=item)
        self.fill_resting(symbol=symbol, now_ms=now_ms)

    def fund(self, *, account: str, wallet: Wallet, asset: str, amount: Decimal, now_ms: int) -> None:
        self._commit(Funded(account, wallet, asset, amount, now_ms))

    def check_order(self, *, account: str, request: NewOrder) -> None:
        """Everything a new order is refused for before it meets the book.

        Raises: ApiError.
        """
        market = self.markets[request.symbol]
        owner = self.state.account(account)
        _check_filters(market, request)
        latest = self.state.order_by_client_id(
            account=account, symbol=request.symbol, client_order_id=request.client_order_id
        )
        if latest is not None and latest.status.is_open:
            raise DuplicateOrder
        if request.time_in_force is TimeInForce.GTC and request.order_type is not OrderType.MARKET:
            resting = [order for order in owner.open_orders.values() if order.symbol == request.symbol]
            filters.check_open_orders(count=len(resting))
        _check_funds(owner, market.symbol, request)

    def place_order(self, *, account: str, request: NewOrder, now_ms: int) -> OrderChanged:
        """Place an order: match it at once, and let the rest stand, expire or be refused by its type.

        Raises: ApiError; then nothing has happened.
        """
        self.advance(symbol=request.symbol, now_ms=now_ms)
        self.check_order(account=account, request=request)
        market = self.markets[request.symbol]
        owner = self.state.account(account)
        fills, is_complete = _match(market, request)
        if request.order_type is OrderType.LIMIT_MAKER and fills:
            raise WouldTake
        if request.time_in_force is TimeInForce.FOK and not is_complete:
            fills = []
        if request.order_type is OrderType.MARKET:
            _check_market_funds(owner, market.symbol, request, fills)
        order = _new_order(self.state.last_order_id + 1, account, request, fills, is_complete, now_ms)
        trades = self._trades(order, fills, owner, is_maker=False, now_ms=now_ms)
        changed = OrderChanged(order, trades)
        self._commit(changed)
        self._publish(market, trades)
        return changed

    def cancel_order(self, *, account: str, order_id: int, now_ms: int) -> Order:
        """Raises: UnknownOrder if it is not open."""
        order = self.state.account(account).open_orders.get(order_id)
        if order is None:
            raise UnknownOrder
        cancelled = replace(order, status=OrderStatus.CANCELED, updated_at_ms=now_ms)
        self._commit(OrderChanged(cancelled, ()))
        return cancelled

    def transfer(
        self, *, account: str, source: Wallet, target: Wallet, asset: str, amount: Decimal, now_ms: int
    ) -> Transfer:
        """Raises: TransferUnfunded if the source wallet has not that much free."""
        if self.state.account(account).wallet(source)[asset].free < amount:
            raise TransferUnfunded
        transfer = Transfer(self.state.last_transfer_id + 1, account, source, target, asset, amount, now_ms)
        self._commit(Transferred(transfer))
        return transfer

    def switch_burn(self, *, account: str, is_on: bool) -> None:
        self._commit(BurnSwitched(account, is_on))

    def fill_resting(self, *, symbol: str, now_ms: int) -> None:
        """Fill, at their own price, the open orders that the other side of the book has come to."""
        market = self.markets[symbol]
        for account in self.state.accounts.values():
            for order in [order for order in account.open_orders.values() if order.symbol == symbol]:
                best = market.quote.ask if order.side is Side.BUY else market.quote.bid
                if crosses(side=order.side, limit=order.price, price=best):
                    self._fill_maker(market, account, order, now_ms)

    def _fill_maker(self, market: Market, account: Account, order: Order, now_ms: int) -> None:
        met = match_quantity(
            side=order.side, quantity=order.remaining, limit=order.price, levels=market.levels(order.side)
        )
        quantity = sum((fill.quantity for fill in met), ZERO)
        if quantity == 0:
            return
        fills = [Fill(order.price, quantity)]
        filled = _with_fills(order, fills, now_ms)
        trades = self._trades(filled, fills, account, is_maker=True, now_ms=now_ms)
        self._commit(OrderChanged(filled, trades))
        self._publish(market, trades)

    def _trades(
        self, order: Order, fills: list[Fill], account: Account, *, is_maker: bool, now_ms: int
    ) -> tuple[Trade, ...]:
        symbol = self.markets[order.symbol].symbol
        rate = self.commission.maker if is_maker else self.commission.taker
        bnb = self._spare_bnb(account, order, fills, symbol)
        trades = []
        for fill in fills:
            value = fill.price * fill.quantity
            bnb_commission = truncate(value * rate * BNB_DISCOUNT / self.markets[BNB_SYMBOL].quote.mid)
            if bnb >= bnb_commission > 0:
                bnb -= bnb_commission
                commission, asset = bnb_commission, BNB
            elif order.side is Side.BUY:
                commission, asset = truncate(fill.quantity * rate), symbol.base
            else:
                commission, asset = truncate(value * rate), symbol.quote
            trades.append(
                Trade(
                    self._next_trade_id(),
                    order.order_id,
                    order.account,
                    order.symbol,
                    order.side,
                    fill.price,
                    fill.quantity,
                    value,
                    commission,
                    asset,
                    is_maker,
                    now_ms,
                )
            )
        return tuple(trades)

    @staticmethod
    def _spare_bnb(account: Account, order: Order, fills: list[Fill], symbol: Symbol) -> Decimal:
        """The BNB that commission may be taken from: none unless the account switched that on."""
        if not account.burns_bnb:
            return ZERO
        spare = account.spot[BNB].free
        if order.side is Side.SELL and symbol.base == BNB:
            spare -= order.quantity
        return spare

    def _publish(self, market: Market, trades: tuple[Trade, ...]) -> None:
        for trade in trades:
            market.take(trade.side, quantity=trade.quantity)
            is_buyer_maker = trade.is_maker == (trade.side is Side.BUY)
            item = Print(trade.price, trade.quantity, is_buyer_maker, trade.at_ms)
            market.record_print(trade_id=trade.trade_id, item=item)

    def _commit(self, event: Event) -> None:
        self._record(event)
        self.state.apply(event)

    def _next_trade_id(self) -> int:
        self._last_trade_id += 1
        return self._last_trade_id


def _check_filters(market: Market, request: NewOrder) -> None:
    symbol, average = market.symbol, market.average_price
    if request.price is not None:
        filters.check_precision(name="price", amount=request.price)
        filters.check_price(symbol=symbol, side=request.side, price=request.price, average_price=average)
    if request.quantity is not None:
        filters.check_precision(name="quantity", amount=request.quantity)
        filters.check_quantity(symbol=symbol, order_type=request.order_type, quantity=request.quantity)
        notional = request.quantity * (request.price or average)
    else:
        assert request.quote_quantity is not None
        filters.check_precision(name="quoteOrderQty", amount=request.quote_quantity)
        notional = request.quote_quantity
    filters.check_notional(symbol=symbol, order_type=request.order_type, notional=notional)


def _check_funds(account: Account, symbol: Symbol, request: NewOrder) -> None:
    if request.side is Side.SELL:
        needed, asset = request.quantity or ZERO, symbol.base
    elif request.price is not None and request.quantity is not None:
        needed, asset = request.price * request.quantity, symbol.quote
    else:
        needed, asset = request.quote_quantity or ZERO, symbol.quote
    if account.spot[asset].free < needed:
        raise InsufficientBalance


def _check_market_funds(account: Account, symbol: Symbol, request: NewOrder, fills: list[Fill]) -> None:
    if request.side is Side.BUY:
        needed, asset = sum((fill.price * fill.quantity for fill in fills), ZERO), symbol.quote
    else:
        needed, asset = sum((fill.quantity for fill in fills), ZERO), symbol.base
    if account.spot[asset].free < needed:
        raise InsufficientBalance


def _match(market: Market, request: NewOrder) -> tuple[list[Fill], bool]:
    levels = market.levels(request.side)
    if request.quantity is None:
        assert request.quote_quantity is not None
        return match_quote(quote_quantity=request.quote_quantity, step=market.symbol.step, levels=levels)
    fills = match_quantity(side=request.side, quantity=request.quantity, limit=request.price, levels=levels)
    return fills, sum((fill.quantity for fill in fills), ZERO) == request.quantity


def _new_order(
    order_id: int, account: str, request: NewOrder, fills: list[Fill], is_complete: bool, now_ms: int
) -> Order:
    executed = sum((fill.quantity for fill in fills), ZERO)
    rests = request.order_type is not OrderType.MARKET and request.time_in_force is TimeInForce.GTC
    if is_complete and executed:
        status = OrderStatus.FILLED
    elif not rests:
        status = OrderStatus.EXPIRED
    else:
        status = OrderStatus.PARTIALLY_FILLED if executed else OrderStatus.NEW
    return Order(
        order_id=order_id,
        account=account,
        symbol=request.symbol,
        client_order_id=request.client_order_id,
        side=request.side,
        order_type=request.order_type,
        time_in_force=request.time_in_force,
        price=request.price or ZERO,
        quantity=executed if request.quantity is None else request.quantity,
        quote_quantity=request.quote_quantity or ZERO,
        executed_quantity=executed,
        executed_quote=sum((fill.price * fill.quantity for fill in fills), ZERO),
        status=status,
        created_at_ms=now_ms,
        updated_at_ms=now_ms,
        prevention_mode=request.prevention_mode,
    )


def _with_fills(order: Order, fills: list[Fill], now_ms: int) -> Order:
    executed = order.executed_quantity + sum((fill.quantity for fill in fills), ZERO)
    quote = order.executed_quote + sum((fill.price * fill.quantity for fill in fills), ZERO)
    return replace(
        order,
        executed_quantity=executed,
        executed_quote=quote,
        status=OrderStatus.FILLED if executed == order.quantity else OrderStatus.PARTIALLY_FILLED,
        updated_at_ms=now_ms,
    )
