"""Deciding a batch of orders in memory, one request at a time, on rows that their customers' locks hold still.

No I/O: what was read comes in, what has to be written is collected in `orders`, `transfers` and the changed rows.
"""

from datetime import datetime
from decimal import Decimal

from counter import pricing
from counter.chart import SystemAccount
from counter.containment import Terms
from counter.order_requests import (
    Accepted,
    CloseRequest,
    OpenRequest,
    Order,
    OrderRequest,
    Outcome,
    RejectCode,
    Rejected,
)
from counter.order_sql import AccountRow, BatchRows, OptionRow, PositionRow, TransferRow

ZERO = Decimal(0)
MAX_USDT = Decimal(10**14)  # what a column of 20 digits holds, 6 of them decimals
MAX_COIN = Decimal(10**12)


class _Refused(Exception):
    """Carries a rejection out of the decision on one request."""

    def __init__(self, code: RejectCode, message: str) -> None:
        super().__init__(message)
        self.rejected = Rejected(code, message)


class OrderBatch:
    """The state of accounts, orders and positions as the requests of a batch change it."""

    def __init__(
        self,
        *,
        now: datetime,
        terms: Terms,
        rows: BatchRows,
    ) -> None:
        self.now = now
        self.accounts = rows.accounts
        self.positions = rows.positions
        self.orders: list[Order] = []
        self.transfers: list[TransferRow] = []
        self._terms = terms
        self._fresh_since = now - terms.stale_after
        self._closable_since = now - max(terms.stale_after, terms.close_stale_after)
        self._by_client_id = rows.orders
        self._by_symbol = {option.symbol: option for option in rows.options}
        self._by_id = {option.id: option for option in rows.options}
        self._order_ids = iter(rows.order_ids)

    def decide(self, request: OrderRequest) -> Outcome:
        """Accept, replay or reject one request, given all that came before it."""
        try:
            account = self.accounts.get(request.customer_id)
            if account is None:
                raise _Refused(RejectCode.ACCOUNT_NOT_FOUND, "this customer has no account")
            earlier = self._by_client_id.get((request.customer_id, request.client_order_id))
            if earlier is not None:
                self._check_same(request, earlier)
                return Accepted(earlier, replayed=True)
            placing = self._open if isinstance(request, OpenRequest) else self._close
            order = placing(request, account)  # type: ignore[arg-type]
        except _Refused as refusal:
            return refusal.rejected
        except pricing.AmountTooLarge as error:
            return Rejected(RejectCode.AMOUNT_TOO_LARGE, str(error))
        self.orders.append(order)
        self._by_client_id[(order.customer_id, order.client_order_id)] = order
        return Accepted(order)

    def _check_same(self, request: OrderRequest, earlier: Order) -> None:
        asked: tuple[object, ...]
        held: tuple[object, ...]
        if isinstance(request, OpenRequest):
            asked = ("OPEN", request.symbol, request.contracts, request.max_cost, "instant")
            held = (earlier.kind, earlier.symbol, earlier.contracts, earlier.limit, earlier.payout)
        else:
            contracts = earlier.contracts if request.contracts is None else request.contracts
            position_id = self._position_id(request)
            asked = ("CLOSE", position_id, contracts, request.min_proceeds, request.payout)
            held = (earlier.kind, earlier.position_id, earlier.contracts, earlier.limit, earlier.payout)
        if asked != held:
            raise _Refused(
                RejectCode.CLIENT_ORDER_ID_REUSED,
                f"client_order_id {request.client_order_id} was already used for another order",
            )

    def _open(self, request: OpenRequest, account: AccountRow) -> Order:
        option = self._by_symbol.get(request.symbol)
        if option is None:
            raise _Refused(RejectCode.OPTION_NOT_FOUND, f"there is no option {request.symbol}")
        if option.state == "HALTED":
            raise _Refused(RejectCode.OPTION_HALTED, f"{option.symbol} is halted")
        if not self._terms.takes_opens(state=option.coin_state, judged_at=option.judged_at, now=self.now):
            raise _Refused(RejectCode.COIN_HALTED, f"{option.underlying} takes no opening orders at present")
        premium, index, _ = self._quoted(option, option.ask, self._fresh_since)
        price = pricing.open_cost(
            contracts=request.contracts,
            multiplier=option.multiplier,
            ask_premium=premium,
            index=index,
            spread_rate=self._terms.open_rate(option.spread_rate),
        )
        if price.fair <= ZERO:
            raise _Refused(RejectCode.AMOUNT_TOO_SMALL, "the order is worth less than 0.000001 USDT")
        if request.max_cost is not None and price.cost > request.max_cost:
            raise _Refused(RejectCode.PRICE_MOVED, f"cost {price.cost} is above max_cost {request.max_cost}")
        if price.cost > account.balance:
            raise _Refused(
                RejectCode.INSUFFICIENT_BALANCE, f"cost {price.cost} USDT, balance {account.balance} USDT"
            )
        _check_fits(price.coin, price.cost)
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
            premium=premium,
            index_price=index,
            coin=price.coin,
            fair=price.fair,
            spread=price.spread,
            amount=price.cost,
            limit=request.max_cost,
            payout="instant",
            state="PENDING",
            placed_at=self.now,
        )
        self._debit(account, SystemAccount.CLEARING, price.fair, "open", order_id)
        self._debit(account, SystemAccount.SPREAD, price.spread, "spread", order_id)
        self.positions[order_id] = PositionRow(
            id=order_id,
            customer_id=request.customer_id,
            option_id=option.id,
            contracts=request.contracts,
            remaining=request.contracts,
            unpaid=0,
            cost=price.cost,
            proceeds=ZERO,
            state="OPEN",
            opened_at=self.now,
            is_new=True,
            changed=True,
        )
        self._by_id[option.id] = option
        return order

    def _close(self, request: CloseRequest, account: AccountRow) -> Order:
        position = self.positions.get(self._position_id(request) or 0)
        if position is None or position.customer_id != request.customer_id:
            raise _Refused(RejectCode.POSITION_NOT_FOUND, "this customer has no such position")
        contracts = position.remaining if request.contracts is None else request.contracts
        if not 0 < contracts <= position.remaining:
            raise _Refused(
                RejectCode.POSITION_TOO_SMALL,
                f"{position.remaining} of {position.contracts} contracts are left in position {position.id}",
            )
        option = self._by_id[position.option_id]
        premium, index, quoted_at = self._quoted(option, option.bid, self._closable_since)
        price = pricing.close_proceeds(
            contracts=contracts,
            multiplier=option.multiplier,
            bid_premium=premium,
            index=index,
            spread_rate=self._terms.close_rate(rate=option.spread_rate, quoted_at=quoted_at, now=self.now),
        )
        if price.proceeds <= ZERO:
            raise _Refused(RejectCode.AMOUNT_TOO_SMALL, "the close is worth less than 0.000001 USDT")
        if request.min_proceeds is not None and price.proceeds < request.min_proceeds:
            raise _Refused(
                RejectCode.PRICE_MOVED,
                f"proceeds {price.proceeds} are below min_proceeds {request.min_proceeds}",
            )
        _check_fits(price.coin, max(account.balance, position.proceeds) + price.fair)
        instant = request.payout == "instant"
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
            premium=premium,
            index_price=index,
            coin=price.coin,
            fair=price.fair,
            spread=price.spread if instant else ZERO,
            amount=price.proceeds if instant else ZERO,
            limit=request.min_proceeds,
            payout=request.payout,
            state="PENDING",
            placed_at=self.now,
        )
        if instant:
            self._credit(account, price.proceeds, "close", order.id)
            self._transfer(
                SystemAccount.CLEARING, SystemAccount.SPREAD, price.spread, "spread", order.id, None
            )
        self._reduce(position, contracts, order.amount, paid=instant)
        return order

    def _position_id(self, request: CloseRequest) -> int | None:
        if request.position_id is not None:
            return request.position_id
        opening = self._by_client_id.get((request.customer_id, request.opened_by or ""))
        return opening.position_id if opening is not None and opening.kind == "OPEN" else None

    def _quoted(
        self, option: OptionRow, premium: Decimal | None, not_before: datetime
    ) -> tuple[Decimal, Decimal, datetime]:
        """Premium, index and time of a living option's quote; a halted one can still be closed."""
        if option.expires_at <= self.now or option.state in ("EXPIRED", "SETTLED"):
            raise _Refused(RejectCode.OPTION_EXPIRED, f"{option.symbol} has expired")
        if premium is None or option.index_price is None or option.quoted_at is None or premium <= ZERO:
            raise _Refused(RejectCode.QUOTE_MISSING, f"{option.symbol} has no price on this side")
        if option.quoted_at < not_before:
            raise _Refused(RejectCode.QUOTE_STALE, f"the price of {option.symbol} is too old; try again")
        return premium, option.index_price, option.quoted_at

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

    def _reduce(self, position: PositionRow, contracts: int, proceeds: Decimal, *, paid: bool) -> None:
        position.changed = True
        position.remaining -= contracts
        position.proceeds += proceeds
        if not paid:
            position.unpaid += 1
        if position.remaining == 0:
            position.state = "CLOSING" if position.unpaid else "CLOSED"
            position.closed_at = self.now


def _check_fits(coin: Decimal, usdt: Decimal) -> None:
    """One amount that no column can hold would fail the write of the whole batch."""
    if coin >= MAX_COIN or usdt >= MAX_USDT:
        raise _Refused(RejectCode.AMOUNT_TOO_LARGE, "the order's amounts are larger than what is kept")
