"""Legs of the desk's book: signed amounts become transfers in the right direction, zeros become none."""

from datetime import datetime
from decimal import Decimal

from ledger.posting import post
from settlement.book.chart import Chart
from settlement.models import DeskTransfer


class Legs:
    """Collects the legs of one conversion, transfer, break or payment and posts them together."""

    def __init__(
        self,
        *,
        now: datetime,
        conversion_id: int | None = None,
        funds_transfer_id: int | None = None,
        break_id: int | None = None,
        clearing_payment_id: int | None = None,
        chart: Chart | None = None,
    ) -> None:
        self._chart = chart or Chart()
        self._now = now
        self._conversion_id = conversion_id
        self._funds_transfer_id = funds_transfer_id
        self._break_id = break_id
        self._clearing_payment_id = clearing_payment_id
        self._legs: list[tuple[str, str, str, str, Decimal]] = []

    def add(self, kind: str, asset: str, *, debit: str, credit: str, amount: Decimal) -> None:
        """Debit one account and credit another; a negative amount goes the other way, zero is no leg."""
        if amount == 0:
            return
        if amount < 0:
            debit, credit, amount = credit, debit, -amount
        self._legs.append((kind, asset, debit, credit, amount))

    @property
    def transfers(self) -> list[DeskTransfer]:
        """The legs as they will be written; accounts that are new are in the book from now on."""
        self._chart.create_missing(
            (code, asset) for _, asset, debit, credit, _ in self._legs for code in (debit, credit)
        )
        return [
            DeskTransfer(
                debit_account=self._chart.account(debit, asset),
                credit_account=self._chart.account(credit, asset),
                asset=asset,
                amount=amount,
                kind=kind,
                conversion_id=self._conversion_id,
                funds_transfer_id=self._funds_transfer_id,
                break_id=self._break_id,
                clearing_payment_id=self._clearing_payment_id,
                created_at=self._now,
            )
            for kind, asset, debit, credit, amount in self._legs
        ]

    def post(self) -> None:
        """Write the legs in the caller's transaction."""
        post(self.transfers)
