"""What the exchange owes and what it holds, from both books: sums of rows, and legs added up once and carried on."""

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import ROUND_HALF_EVEN, Decimal
from typing import NamedTuple

from django.conf import settings

from cockpit.risk import BookRisk
from counter.market.book import Series
from counter.models import IndexPrice
from counter.pricing import formulas
from infra.db.rows import rows_of
from ledger.decimals import EXACT, product, rounded
from settlement.book.chart import CASH, INVENTORY, USDT, VENUE
from settlement.models import ReconciliationRun

USDT_UNIT = Decimal("0.000001")
ZERO = Decimal(0)
# A leg's id is taken before its commit: what is carried on are legs that are certainly all there.
LEGS_SETTLED_AFTER = timedelta(minutes=5)
LAST_SETTLED_LEG = """
    SELECT max(id) FROM (
        SELECT id, created_at FROM settlement_desktransfer WHERE id > %(after)s ORDER BY id
    ) AS legs WHERE created_at < %(settled_before)s
"""
LEGS = """
    WITH flows AS MATERIALIZED (
        SELECT debit_account_id, credit_account_id, id <= %(until)s AS is_settled, sum(amount) AS amount
        FROM settlement_desktransfer WHERE id > %(after)s GROUP BY 1, 2, 3
    )
    SELECT account_id, coalesce(sum(amount) FILTER (WHERE is_settled), 0),
           coalesce(sum(amount) FILTER (WHERE NOT is_settled), 0)
    FROM (
        SELECT debit_account_id AS account_id, is_settled, amount FROM flows
        UNION ALL
        SELECT credit_account_id, is_settled, -amount FROM flows
    ) AS sides GROUP BY 1
"""
ACCOUNTS = "SELECT id, code, asset, normal_side FROM settlement_deskaccount ORDER BY code, asset"
CUSTOMERS = "SELECT count(*), coalesce(sum(balance), 0) FROM counter_account WHERE customer_id IS NOT NULL"
RESERVED = "SELECT count(*), coalesce(sum(amount), 0) FROM counter_withdrawal WHERE state = 'RESERVED'"
# What came from the world and went to it: the balance of the account `external`, without its millions of legs.
CASH_IN = """
    SELECT coalesce((SELECT sum(CASE kind WHEN 'DEPOSIT' THEN amount ELSE -amount END) FROM counter_cashmovement
                     WHERE kind IN ('DEPOSIT', 'CONFIRMATION')), 0)
         - coalesce((SELECT sum(CASE direction WHEN 'to_desk' THEN amount ELSE -amount END)
                     FROM counter_clearingpayment WHERE refusal = ''), 0)
"""


class Balance(NamedTuple):
    """One account of the desk's book, positive on its normal side."""

    code: str
    asset: str
    amount: Decimal


class Carried:
    """Balances of the desk's book: legs that are certainly all there are added up once a process, newer ones anew."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._until = 0
        self._sums: dict[int, Decimal] = {}

    def balances(self, *, now: datetime) -> list[Balance]:
        """Every account, by code and asset. Raises: DatabaseError."""
        with self._lock:
            asked = {"after": self._until, "settled_before": now - LEGS_SETTLED_AFTER}
            [(until,)] = rows_of("desk", LAST_SETTLED_LEG, asked)
            moved = rows_of("desk", LEGS, {"after": self._until, "until": until or self._until})
            for account_id, settled, _ in moved:
                self._sums[account_id] = self._sums.get(account_id, ZERO) + settled
            self._until = until or self._until
            fresh = {account_id: amount for account_id, _, amount in moved}
            return [
                Balance(
                    code,
                    asset,
                    (1 if side == "D" else -1) * (self._sums.get(key, ZERO) + fresh.get(key, ZERO)),
                )
                for key, code, asset, side in rows_of("desk", ACCOUNTS)
            ]

    def forget(self) -> None:
        """Add everything up anew."""
        with self._lock:
            self._until, self._sums = 0, {}


carried = Carried()


@dataclass(frozen=True, slots=True)
class Wallet:
    """One asset: what the desk's book has at the venue, in the trading wallet and in reserve, and the trading band."""

    asset: str
    trading: Decimal
    reserve: Decimal
    low: Decimal
    target: Decimal
    high: Decimal


@dataclass(frozen=True, slots=True)
class Rung:
    """An expiry of one coin, USDT: what its options are worth at the marks, and what they would pay at this index."""

    coin: str
    expires_at: datetime
    contracts: int
    worth: Decimal
    payout: Decimal


@dataclass(frozen=True, slots=True)
class Balances:
    """USDT unless an asset is named. `owed` to customers, `held` at the exchange's wallets and at the venue."""

    at: datetime
    customers: int
    customer_balances: Decimal
    withdrawals: int
    reserved: Decimal
    options: Decimal
    cash_at_counter: Decimal
    desk: Sequence[Balance]
    prices: dict[str, Decimal]
    wallets: Sequence[Wallet]
    ladder: Sequence[Rung]
    series: Sequence[Series]
    reconciled: ReconciliationRun | None
    unpriced: Sequence[str] = field(default_factory=list)

    @property
    def owed(self) -> Decimal:
        """To customers: their balances, withdrawals not paid out, and their options at the marks."""
        return self.customer_balances + self.reserved + self.options

    @property
    def held(self) -> Decimal:
        """USDT at the exchange's wallet, and everything at the venue at the index."""
        return self.cash_at_counter + self.desk_cash + self.at_venue

    @property
    def desk_cash(self) -> Decimal:
        """What the desk holds outside of the venue."""
        return sum((self._in_usdt(each) for each in self.desk if each.code == CASH), ZERO)

    @property
    def at_venue(self) -> Decimal:
        """Both wallets, by the desk's book."""
        return sum((self._in_usdt(each) for each in self.desk if each.code in (VENUE, INVENTORY)), ZERO)

    @property
    def without_price(self) -> list[str]:
        """Assets that are held and in no sum: no index is known of them."""
        held = {each.asset for each in self.desk if each.code in (VENUE, INVENTORY, CASH) and each.amount}
        return sorted(held - {USDT} - self.prices.keys())

    def _in_usdt(self, balance: Balance) -> Decimal:
        price = Decimal(1) if balance.asset == USDT else self.prices.get(balance.asset, ZERO)
        return rounded(product(balance.amount, price), USDT_UNIT, ROUND_HALF_EVEN)


def read(*, risk: BookRisk, now: datetime) -> Balances:
    """Read both books; what options are worth comes from the reading of their risk.

    Raises: DatabaseError.
    """
    [(customers, customer_balances)] = rows_of("default", CUSTOMERS)
    [(withdrawals, reserved)] = rows_of("default", RESERVED)
    [(cash_at_counter,)] = rows_of("default", CASH_IN)
    desk = carried.balances(now=now)
    prices = dict(risk.book.index)
    for coin in settings.COINS:
        latest = IndexPrice.objects.filter(underlying=coin, at__lte=now).order_by("-at").first()
        if latest is not None and coin not in prices:
            prices[coin] = latest.price
    return Balances(
        at=now,
        customers=customers,
        customer_balances=customer_balances,
        withdrawals=withdrawals,
        reserved=reserved,
        options=_usdt(-risk.in_all.value),
        cash_at_counter=cash_at_counter,
        desk=desk,
        prices=prices,
        wallets=_wallets(desk),
        ladder=_ladder(risk),
        series=risk.book.series,
        reconciled=ReconciliationRun.objects.order_by("-id").first(),
        unpriced=[net.symbol for net in risk.book.unpriced],
    )


def _wallets(desk: Sequence[Balance]) -> list[Wallet]:
    known = {(each.code, each.asset): each.amount for each in desk}
    return [
        Wallet(
            asset=asset,
            trading=known.get((VENUE, asset), ZERO),
            reserve=known.get((INVENTORY, asset), ZERO),
            **band,
        )
        for asset, band in settings.WALLET_BANDS.items()
    ]


def _ladder(risk: BookRisk) -> list[Rung]:
    rungs: dict[tuple[datetime, str], list[Series]] = {}
    for each in risk.book.series:
        rungs.setdefault((each.net.expires_at, each.net.underlying), []).append(each)
    return [
        Rung(
            coin=coin,
            expires_at=expires_at,
            contracts=sum(each.net.contracts for each in found),
            worth=_usdt(-sum(each.risk.value for each in found if each.risk)),
            payout=sum((_payout(each, risk.index(coin)) for each in found), ZERO),
        )
        for (expires_at, coin), found in sorted(rungs.items())
    ]


def _payout(series: Series, index: Decimal | None) -> Decimal:
    """What a series would pay if it were settled at this index."""
    net = series.net
    if index is None:
        return ZERO
    return formulas.exercise_proceeds(
        kind=net.kind,
        strike=net.strike,
        settlement_index=index,
        contracts=int(net.contracts),
        multiplier=EXACT.divide(net.coin, Decimal(net.contracts)),
    ).proceeds


def _usdt(measure: float) -> Decimal:
    return rounded(Decimal(repr(measure + 0.0)), USDT_UNIT, ROUND_HALF_EVEN)
