"""The matching engine: takes orders, cancels and transfers, and lets resting orders fill as the price moves.

What it decides becomes one event, is handed to ``record`` (the journal) and only then applied and answered: an
operation is either wholly remembered or did not happen. Time is handed in with every call.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from decimal import Decimal

from tools.paper_venue.admission import check_market_funds, check_new_order
from tools.paper_venue.amounts import ZERO
from tools.paper_venue.commission import BNB, BNB_SYMBOL, Commission, charges
from tools.paper_venue.errors import TransferUnfunded, UnknownOrder, WouldTake
from tools.paper_venue.market import Market
from tools.paper_venue.matching import Match, crosses, in_pieces, match_quantity
from tools.paper_venue.orders import NewOrder, filled, match, opened, total_quantity
from tools.paper_venue.prices.quotes import Print
from tools.paper_venue.records import (
    BurnSwitched,
    Event,
    Funded,
    Order,
    OrderChanged,
    OrderStatus,
    OrderType,
    Side,
    Trade,
    Transfer,
    Transferred,
    Wallet,
)
from tools.paper_venue.state import Account, State

RESTART_TRADE_ID_GAP = 10_000_000


class Engine:
    """See the module. ``record`` must have stored the event when it returns; ``tell`` hears of it afterwards."""

    def __init__(
        self,
        *,
        state: State,
        markets: dict[str, Market],
        commission: Commission,
        record: Callable[[Event], None],
        tell: Callable[[Event], None] = lambda event: None,
    ) -> None:
        self.state = state
        self.markets = markets
        self.commission = commission
        self._record = record
        self._tell = tell
        # Public prints take trade ids without being journalled: a restart skips what they may have used.
        self._last_trade_id = state.last_trade_id + RESTART_TRADE_ID_GAP if state.last_trade_id else 0

    def advance(self, *, symbol: str, now_ms: int) -> None:
        """Move one market's price on and fill the resting orders it has passed."""
        market = self.markets[symbol]
        for item in market.advance(now_ms=now_ms):
            self._print(market, item)
        self.fill_resting(symbol=symbol, now_ms=now_ms)

    def fund(self, *, account: str, wallet: Wallet, asset: str, amount: Decimal, now_ms: int) -> None:
        self._commit(Funded(account, wallet, asset, amount, now_ms))

    def check_order(self, *, account: str, request: NewOrder) -> None:
        """Raises: ApiError, as ``place_order`` would before it meets the book."""
        market = self.markets[request.symbol]
        check_new_order(state=self.state, market=market, account=account, request=request)

    def place_order(self, *, account: str, request: NewOrder, now_ms: int) -> OrderChanged:
        """Place an order: match it at once, and let the rest stand, expire or be refused by its type.

        Raises: ApiError; then nothing has happened.
        """
        self.advance(symbol=request.symbol, now_ms=now_ms)
        self.check_order(account=account, request=request)
        market = self.markets[request.symbol]
        levels = market.levels(request.side)
        fills, is_complete = match(request=request, step=market.symbol.step, levels=levels)
        if market.pieces > 1:
            fills = in_pieces(fills, pieces=market.pieces, step=market.symbol.step)
        if request.order_type is OrderType.LIMIT_MAKER and fills:
            raise WouldTake
        if request.order_type is OrderType.MARKET:
            check_market_funds(
                state=self.state, market=market, account=account, side=request.side, fills=fills
            )
        order = opened(
            request=request,
            order_id=self.state.last_order_id + 1,
            account=account,
            fills=fills,
            is_complete=is_complete,
            now_ms=now_ms,
        )
        return self._execute(market, order, fills, is_maker=False, now_ms=now_ms)

    def cancel_order(self, *, account: str, order_id: int, now_ms: int) -> Order:
        """Raises: UnknownOrder if it is not, or no longer, open."""
        open_orders = self.state.account(account).open_orders
        if order_id in open_orders:
            self.advance(symbol=open_orders[order_id].symbol, now_ms=now_ms)
        order = open_orders.get(order_id)
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

    def pin_price(self, *, symbol: str, price: Decimal | None, now_ms: int) -> None:
        """Hold the price of a symbol, or let it go with None."""
        market = self.markets[symbol]
        self.advance(symbol=symbol, now_ms=now_ms)
        self._print(market, market.unpin() if price is None else market.pin(price=price))
        self.fill_resting(symbol=symbol, now_ms=now_ms)

    def jump_price(self, *, symbol: str, factor: Decimal, now_ms: int) -> None:
        market = self.markets[symbol]
        self.advance(symbol=symbol, now_ms=now_ms)
        self._print(market, market.jump(factor=factor))
        self.fill_resting(symbol=symbol, now_ms=now_ms)

    def fill_resting(self, *, symbol: str, now_ms: int) -> None:
        """Match, at their own price, the open orders that the other side of the book has come to."""
        market = self.markets[symbol]
        for order in [order for order in self.state.standing.values() if order.symbol == symbol]:
            best = market.quote.ask if order.side is Side.BUY else market.quote.bid
            if crosses(side=order.side, limit=order.price, price=best):
                self._fill_maker(market, order, now_ms)

    def _fill_maker(self, market: Market, order: Order, now_ms: int) -> None:
        levels = market.levels(order.side)
        met = match_quantity(side=order.side, quantity=order.remaining, limit=order.price, levels=levels)
        if met:
            fills = [Match(order.price, total_quantity(met))]
            self._execute(
                market, filled(order, fills=fills, now_ms=now_ms), fills, is_maker=True, now_ms=now_ms
            )

    def _execute(
        self, market: Market, order: Order, fills: Sequence[Match], *, is_maker: bool, now_ms: int
    ) -> OrderChanged:
        """Commit the order's new version with the trades of these fills, and let the market know of them."""
        changed = OrderChanged(order, self._trades(market, order, fills, is_maker=is_maker, now_ms=now_ms))
        self._commit(changed)
        for trade in changed.trades:
            market.take(trade.side, quantity=trade.quantity)
            is_buyer_maker = trade.is_maker == (trade.side is Side.BUY)
            item = Print(trade.price, trade.quantity, is_buyer_maker, trade.at_ms)
            market.record_print(trade_id=trade.trade_id, item=item)
        return changed

    def _trades(
        self, market: Market, order: Order, fills: Sequence[Match], *, is_maker: bool, now_ms: int
    ) -> tuple[Trade, ...]:
        symbol = market.symbol
        charged = charges(
            symbol=symbol,
            side=order.side,
            fills=fills,
            rate=self.commission.rate(is_maker=is_maker),
            spare_bnb=self._spare_bnb(self.state.account(order.account), order),
            bnb_price=self.markets[BNB_SYMBOL].quote.mid,
        )
        return tuple(
            Trade(
                trade_id=self._next_trade_id(),
                order_id=order.order_id,
                account=order.account,
                symbol=order.symbol,
                side=order.side,
                price=fill.price,
                quantity=fill.quantity,
                quote_quantity=fill.price * fill.quantity,
                commission=charge.amount,
                commission_asset=charge.asset,
                is_maker=is_maker,
                at_ms=now_ms,
            )
            for fill, charge in zip(fills, charged, strict=True)
        )

    def _spare_bnb(self, account: Account, order: Order) -> Decimal:
        """The BNB that commission may be taken from: none unless the account switched that on."""
        if not account.burns_bnb:
            return ZERO
        is_sold = order.side is Side.SELL and self.markets[order.symbol].symbol.base == BNB
        return account.spot[BNB].free - (order.quantity if is_sold else ZERO)

    def _print(self, market: Market, item: Print) -> None:
        market.record_print(trade_id=self._next_trade_id(), item=item)

    def _commit(self, event: Event) -> None:
        self._record(event)
        self.state.apply(event)
        self._tell(event)

    def _next_trade_id(self) -> int:
        self._last_trade_id += 1
        return self._last_trade_id
