"""Deciding what becomes of positions at their expiry, one after the other, on rows that their customers' locks hold.

No I/O: what was read comes in, what has to be written is collected in `orders`, `transfers` and the changed rows.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import ROUND_DOWN, Decimal

from counter.models import SyncOrder
from counter.money.chart import SystemAccount
from counter.orders.exercise_names import exercise_name
from counter.orders.requests import Order
from counter.orders.rows import AccountRow, PositionRow, TransferRow
from counter.pricing import formulas
from infra.db.lifecycles import initial_state
from ledger.decimals import rounded

ZERO = Decimal(0)
PREMIUM_UNIT = Decimal("0.000001")


@dataclass(frozen=True, slots=True)
class ExpiredOption:
    """The terms of an option and the index that settles it."""

    id: int
    symbol: str
    underlying: str
    kind: formulas.OptionKind
    strike: Decimal
    multiplier: Decimal
    settlement_index: Decimal


class ExerciseBatch:
    """The state of accounts and positions as their options' expiry changes them.

    `allowance` is how many USDT may still be paid at once: a position whose proceeds do not fit is paid at fill.
    """

    def __init__(
        self,
        *,
        accounts: Mapping[int, AccountRow],
        options: Mapping[int, ExpiredOption],
        order_ids: Iterable[int],
        allowance: Decimal,
        now: datetime,
    ) -> None:
        self.accounts = accounts
        self.orders: list[Order] = []
        self.transfers: list[TransferRow] = []
        self.exercised: list[PositionRow] = []
        self.worthless: list[PositionRow] = []
        self.paid_at_once: dict[str, Decimal] = {}
        self._options = options
        self._order_ids = iter(order_ids)
        self._allowance = allowance
        self._now = now

    def decide(self, position: PositionRow) -> None:
        """Exercise an open position that is in the money, and let one go that is not, or is worth no USDT unit."""
        option = self._options[position.option_id]
        price = formulas.exercise_proceeds(
            kind=option.kind,
            strike=option.strike,
            settlement_index=option.settlement_index,
            contracts=position.remaining,
            multiplier=option.multiplier,
        )
        if price.proceeds > ZERO:
            self._exercise(position, option, price)
            self.exercised.append(position)
        else:
            self.worthless.append(position)
        self.accounts[position.customer_id].release(position.remaining, position.open_cost)
        position.remaining = 0
        position.changed = True

    def counts(self) -> dict[str, Counter[str]]:
        """By coin: how many positions were `exercised`, `worthless` and, of the former, `left_to_fill`."""
        found: dict[str, Counter[str]] = {}
        for name, positions in (("exercised", self.exercised), ("worthless", self.worthless)):
            for position in positions:
                found.setdefault(self._options[position.option_id].underlying, Counter())[name] += 1
        for order in self.orders:
            found[order.underlying]["left_to_fill"] += order.payout == "at_fill"
        return found

    def _exercise(self, position: PositionRow, option: ExpiredOption, price: formulas.ClosePrice) -> None:
        at_once = price.proceeds <= self._allowance
        order = Order(
            id=next(self._order_ids),
            customer_id=position.customer_id,
            client_order_id=exercise_name(position.id),
            kind="EXERCISE",
            option_id=option.id,
            position_id=position.id,
            symbol=option.symbol,
            underlying=option.underlying,
            contracts=position.remaining,
            premium=_intrinsic(option),
            index_price=option.settlement_index,
            coin=price.coin,
            fair=price.fair,
            spread=price.spread if at_once else ZERO,
            amount=price.proceeds if at_once else ZERO,
            limit=None,
            payout="instant" if at_once else "at_fill",
            state=initial_state(SyncOrder),
            placed_at=self._now,
        )
        self.orders.append(order)
        if at_once:
            self._pay(order, price)
        else:
            position.unpaid += 1
        position.proceeds += order.amount

    def _pay(self, order: Order, price: formulas.ClosePrice) -> None:
        self._allowance -= price.proceeds
        paid = self.paid_at_once.get(order.underlying, ZERO)
        self.paid_at_once[order.underlying] = paid + price.proceeds
        account = self.accounts[order.customer_id]
        account.balance += price.proceeds
        account.changed = True
        clearing, spread = int(SystemAccount.CLEARING), int(SystemAccount.SPREAD)
        self.transfers.append(
            TransferRow(clearing, account.id, price.proceeds, "exercise", order.id, account.balance)
        )
        if price.spread > ZERO:  # what rounding down left, under one unit
            self.transfers.append(TransferRow(clearing, spread, price.spread, "spread", order.id, None))


def _intrinsic(option: ExpiredOption) -> Decimal:
    """What the option pays for one coin of the underlying, in coin, rounded down as a premium."""
    coin = formulas.payoff_coin(
        kind=option.kind,
        strike=option.strike,
        settlement_index=option.settlement_index,
        contracts=1,
        multiplier=Decimal(1),
    )
    return rounded(coin, PREMIUM_UNIT, ROUND_DOWN)
