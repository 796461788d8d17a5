"""Deciding a batch of orders in memory, one request at a time, on rows that their customers' locks hold still.

No I/O: what was read comes in, what has to be written is collected in `orders`, `transfers` and the changed rows.
"""

from collections import defaultdict
from collections.abc import Callable
from datetime import datetime
from decimal import Decimal

from counter.circuit_breaker import TradingTerms
from counter.limits.customer import CustomerLimits
from counter.limits.reached import Reached
from counter.models import Position, SyncOrder
from counter.money.chart import SystemAccount
from counter.orders.limits import OrderLimits
from counter.orders.prices import OrderRefused, Price, Prices, check_fits, quoted_at, too_small
from counter.orders.requests import (
    BEHIND,
    Accepted,
    CloseRequest,
    OpenRequest,
    Order,
    OrderRequest,
    Outcome,
    RejectCode,
    Rejected,
)
from counter.orders.rows import (
    AccountRow,
    BatchRows,
    FirmQuoteRow,
    OptionRow,
    PositionRow,
    ReservedRow,
    TransferRow,
)
from counter.pricing import formulas
from counter.pricing.impact import NOTHING, Measures
from counter.public_ids import Kind, public_id
from infra.coordination.ages import lies_ahead
from infra.db.lifecycles import initial_state

ZERO = Decimal(0)
NEW_ORDER, NEW_POSITION = initial_state(SyncOrder), initial_state(Position)


class OrderBatch:
    """The state of accounts, orders and positions as the requests of a batch change it."""

    def __init__(
        self,
        *,
        now: datetime,
        terms: TradingTerms,
        limits: CustomerLimits,
        rows: BatchRows,
        admits_close: Callable[[str, CloseRequest], bool] = lambda coin, request: True,
    ) -> None:
        self.now = now
        self.accounts = rows.accounts
        self.positions = rows.positions
        self.orders: list[Order] = []
        self.transfers: list[TransferRow] = []
        self.quotes = rows.quotes
        self.flows: dict[str, Measures] = {}  # how the books were moved, of the coins that charge for size
        self._reserved: dict[tuple[int, str], list[ReservedRow]] = defaultdict(list)
        for each in rows.reserved:
            self._reserved[each.customer_id, each.underlying].append(each)
        self._prices = Prices(terms=terms, now=now)
        self._limits = OrderLimits(default=limits, now=now)
        self._by_client_id = rows.orders
        self._by_symbol = {option.symbol: option for option in rows.options}
        self._by_id = {option.id: option for option in rows.options}
        self._order_ids = iter(rows.order_ids)
        self._admits_close = admits_close

    def decide(self, request: OrderRequest) -> Outcome:
        """Accept, replay or reject one request, given all that came before it."""
        try:
            account = self.accounts.get(request.customer_id)
            if account is None:
                raise OrderRefused(RejectCode.ACCOUNT_NOT_FOUND, "this customer has no account")
            earlier = self._by_client_id.get((request.customer_id, request.client_order_id))
            if earlier is not None:
                self._check_same(request, earlier)
                return Accepted(earlier, replayed=True)
            self._limits.check_pace(account)
            placing = self._open if isinstance(request, OpenRequest) else self._close
            order = placing(request, account)  # type: ignore[arg-type]
        except OrderRefused as refusal:
            return refusal.rejected
        except formulas.AmountTooLarge as error:
            return Rejected(RejectCode.AMOUNT_TOO_LARGE, str(error))
        account.accepted += 1
        self.orders.append(order)
        self._by_client_id[(order.customer_id, order.client_order_id)] = order
        return Accepted(order)

    def put_down(self) -> None:
        """Finish the accounts, once all requests are decided."""
        self._limits.put_down(self.accounts.values())

    def _check_same(self, request: OrderRequest, earlier: Order) -> None:
        asked: tuple[object, ...]
        held: tuple[object, ...] = (earlier.contracts, earlier.limit, earlier.payout, earlier.quote_id)
        if isinstance(request, OpenRequest):
            asked = ("OPEN", request.symbol, request.contracts, request.max_cost, "instant", request.quote_id)
            held = (earlier.kind, earlier.symbol, *held)
        else:
            contracts = earlier.contracts if request.contracts is None else request.contracts
            position_id = self._position_id(request)
            asked = (
                *("CLOSE", position_id, contracts, request.min_proceeds, request.payout),
                request.quote_id,
            )
            held = (earlier.kind, earlier.position_id, *held)
        if asked != held:
            raise OrderRefused(
                RejectCode.CLIENT_ORDER_ID_REUSED,
                f"client_order_id {request.client_order_id} was already used for another order",
            )

    def _open(self, request: OpenRequest, account: AccountRow) -> Order:
        option = self._by_symbol.get(request.symbol)
        if option is None:
            raise OrderRefused(RejectCode.OPTION_NOT_FOUND, f"there is no option {request.symbol}")
        quote = self._firm_quote(request)
        self._prices.admit_open(option)
        if quote is None:
            reserved = self._promised_to(request.customer_id, option)
            price = self._prices.open_price(option, request.contracts, reserved)
            if request.max_cost is None:
                self._prices.check_risen(option, price)
                self._prices.check_size(option, request.contracts, price, reserved, opens=True)
        else:
            price = _promised(quote, ("OPEN", option.id, None, request.contracts))
        if request.max_cost is not None and price.amount > request.max_cost:
            raise OrderRefused(
                RejectCode.PRICE_MOVED,
                f"cost {price.amount} is above max_cost {request.max_cost}",
                detail={"path": "$.max_cost", "cost": f"{price.amount}"},
            )
        self._limits.check_open(account, option, request.contracts, price.amount)
        if price.amount > account.balance:
            raise OrderRefused(
                RejectCode.INSUFFICIENT_BALANCE,
                f"cost {price.amount} USDT, balance {account.balance} USDT",
                Reached("balance", left=account.balance),
            )
        check_fits(price.coin, price.amount)
        order_id = next(self._order_ids)
        order = Order(
            id=order_id,
            customer_id=request.customer_id,
            client_order_id=request.client_order_id,
            kind="OPEN",
            option_id=option.id,
            position_id=order_id,
            symbol=option.symbol,
            underlying=option.underlying,
            contracts=request.contracts,
            premium=price.premium,
            index_price=price.index_price,
            coin=price.coin,
            fair=price.fair,
            spread=price.spread,
            amount=price.amount,
            limit=request.max_cost,
            payout="instant",
            state=NEW_ORDER,
            placed_at=self.now,
            quote_id=request.quote_id,
        )
        self._debit(account, SystemAccount.CLEARING, price.fair, "open", order_id)
        self._debit(account, SystemAccount.SPREAD, price.spread, "spread", order_id)
        self._hold(order)
        self._limits.count_open(account, option, order.contracts, order.amount)
        self._by_id[option.id] = option
        self._move_book(option, order)
        if quote is not None:
            quote.order_id = order_id
        return order

    def _promised_to(self, customer_id: int, option: OptionRow) -> list[Measures]:
        """What firm quotes of the coin the customer may still use: those that no order of the batch has used."""
        if option.book is None:
            return []
        return [
            each.flow
            for each in self._reserved.get((customer_id, option.underlying), ())
            if (quote := self.quotes.get(each.quote_id)) is None or quote.order_id is None
        ]

    def _move_book(self, option: OptionRow, order: Order) -> None:
        """The next order of the coin is charged by the book that this one leaves."""
        if option.book is not None:
            quoted = quoted_at(option, order.premium, order.index_price)
            flow = quoted.flow(order.contracts, opens=order.kind == "OPEN")
            option.book.take(flow)
            self.flows[option.underlying] = self.flows.get(option.underlying, NOTHING).plus(flow)

    def _hold(self, order: Order) -> None:
        """The position that an open makes."""
        self.positions[order.id] = PositionRow(
            id=order.id,
            customer_id=order.customer_id,
            option_id=order.option_id,
            contracts=order.contracts,
            remaining=order.contracts,
            unpaid=0,
            cost=order.amount,
            proceeds=ZERO,
            state=NEW_POSITION,
            opened_at=self.now,
            is_new=True,
            changed=True,
        )

    def _close(self, request: CloseRequest, account: AccountRow) -> Order:
        position = self.positions.get(self._position_id(request) or 0)
        if position is None or position.customer_id != request.customer_id:
            raise OrderRefused(RejectCode.POSITION_NOT_FOUND, "this customer has no such position")
        option = self._by_id[position.option_id]
        self._prices.admit_close(option)
        if not self._admits_close(option.underlying, request):
            raise OrderRefused(BEHIND.code, BEHIND.message)
        quote = self._firm_quote(request)
        contracts = request.contracts
        if contracts is None:
            contracts = position.remaining if quote is None else quote.contracts
        if not 0 < contracts <= position.remaining:
            raise too_small(position)
        instant = request.payout == "instant"
        if instant:
            self._prices.admit_instant(option, promised=quote is not None)
        if quote is None:
            pricing_of = self._prices.close_price if instant else self._prices.fill_price
            reserved = self._promised_to(request.customer_id, option)
            price = pricing_of(option, contracts, reserved)
            if request.min_proceeds is None:
                self._prices.check_fallen(option, price)
                self._prices.check_size(option, contracts, price, reserved, opens=False, at_fill=not instant)
        else:
            price = _promised(quote, ("CLOSE", option.id, position.id, contracts))
        if request.min_proceeds is not None and price.amount < request.min_proceeds:
            raise OrderRefused(
                RejectCode.PRICE_MOVED,
                f"proceeds {price.amount} are below min_proceeds {request.min_proceeds}",
                detail={"path": "$.min_proceeds", "proceeds": f"{price.amount}"},
            )
        check_fits(price.coin, max(account.balance, position.proceeds) + price.fair)
        order = Order(
            id=next(self._order_ids),
            customer_id=request.customer_id,
            client_order_id=request.client_order_id,
            kind="CLOSE",
            option_id=option.id,
            position_id=position.id,
            symbol=option.symbol,
            underlying=option.underlying,
            contracts=contracts,
            premium=price.premium,
            index_price=price.index_price,
            coin=price.coin,
            fair=price.fair,
            spread=price.spread,
            amount=price.amount if instant else ZERO,
            limit=request.min_proceeds,
            payout=request.payout,
            state=NEW_ORDER,
            placed_at=self.now,
            quote_id=request.quote_id,
        )
        if instant:
            self._credit(account, price.amount, "close", order.id)
            self._transfer(
                SystemAccount.CLEARING, SystemAccount.SPREAD, price.spread, "spread", order.id, None
            )
        self._reduce(account, position, contracts, order.amount, paid=instant)
        self._move_book(option, order)
        if quote is not None:
            quote.order_id = order.id
        return order

    def _position_id(self, request: CloseRequest) -> int | None:
        if request.position_id is not None:
            return request.position_id
        opening = self._by_client_id.get((request.customer_id, request.opened_by or ""))
        return opening.position_id if opening is not None and opening.kind == "OPEN" else None

    def _firm_quote(self, request: OrderRequest) -> FirmQuoteRow | None:
        """The firm quote that the request names and may use."""
        if request.quote_id is None:
            return None
        quote = self.quotes.get(request.quote_id)
        if quote is None or quote.customer_id != request.customer_id:
            raise OrderRefused(RejectCode.QUOTE_NOT_FOUND, "this customer has no such quote")
        if quote.order_id is not None:
            used_by = public_id(Kind.ORDER, quote.order_id)
            raise OrderRefused(RejectCode.QUOTE_USED, f"order {used_by} has used the quote")
        if quote.expires_at <= self.now or lies_ahead(quote.given_at, now=self.now):
            raise OrderRefused(
                RejectCode.QUOTE_EXPIRED, f"the quote expired at {quote.expires_at.isoformat()}"
            )
        if isinstance(request, CloseRequest) and request.payout != "instant":
            raise OrderRefused(RejectCode.QUOTE_MISMATCH, "a firm quote is paid at once, not at fill")
        return quote

    def _debit(
        self, account: AccountRow, to: SystemAccount, amount: Decimal, kind: str, order_id: int
    ) -> None:
        account.balance -= amount
        account.changed = True
        self._transfer(account.id, to, amount, kind, order_id, account.balance)

    def _credit(self, account: AccountRow, amount: Decimal, kind: str, order_id: int) -> None:
        account.balance += amount
        account.changed = True
        self._transfer(SystemAccount.CLEARING, account.id, amount, kind, order_id, account.balance)

    def _transfer(
        self,
        debit: int,
        credit: int,
        amount: Decimal,
        kind: str,
        order_id: int,
        balance_after: Decimal | None,
    ) -> None:
        if amount > ZERO:
            self.transfers.append(TransferRow(int(debit), int(credit), amount, kind, order_id, balance_after))

    def _reduce(
        self, account: AccountRow, position: PositionRow, contracts: int, proceeds: Decimal, *, paid: bool
    ) -> None:
        before = position.open_cost
        position.changed = True
        position.remaining -= contracts
        account.release(contracts, before - position.open_cost)
        position.proceeds += proceeds
        if not paid:
            position.unpaid += 1


def _promised(quote: FirmQuoteRow, asked: tuple[str, int, int | None, int]) -> Price:
    """The quote's price, if it was given for what is asked: kind, option, position and contracts."""
    if asked != (quote.kind, quote.option_id, quote.position_id, quote.contracts):
        raise OrderRefused(
            RejectCode.QUOTE_MISMATCH,
            "the quote is for another option, side, position or number of contracts",
        )
    return Price(quote.premium, quote.index_price, quote.coin, quote.fair, quote.spread, quote.amount)
