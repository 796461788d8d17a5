"""The wallet service's door: customers, deposits, withdrawals in two steps, and what it can compare its own with.

Every call may be repeated without harm, signed anew each time (`counter.api.service_auth`).
"""

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import msgspec
from rest_framework.request import Request
from rest_framework.response import Response

from counter.api.duplicate_fields import check_no_duplicates
from counter.api.errors import ApiError
from counter.api.fields import Amount, read_amount
from counter.api.pages import page_of
from counter.api.parsers import query_of
from counter.api.times import between
from counter.api.views import WalletView
from counter.api.wallet_messages import (
    MovementPage,
    MovementQuery,
    NewCustomer,
    NewMovement,
    Reference,
    WalletWithdrawalPage,
    WithdrawalQuery,
    customer_body,
    movement_body,
    wallet_withdrawal,
)
from counter.models import Customer, Withdrawal
from counter.money import accounts, cash, withdrawals
from counter.public_ids import Kind
from infra.coordination import clock


class _StrictView(WalletView):
    """Takes no body in which a field is given twice."""

    def read(self, body: bytes) -> Any:
        message = super().read(body)
        check_no_duplicates(body, colons=-1)  # a name may hold colons: counting them tells nothing
        return message


class CustomersView(_StrictView):
    """Customers' accounts."""

    decoder = msgspec.json.Decoder(NewCustomer)

    def post(self, request: Request) -> Response:
        """Open a customer's account, once."""
        reference = self.message.reference
        customer = accounts.open_customer(reference=reference, password=None, now=clock.of("default").now())
        return Response(customer_body(customer), status=201)


class DepositsView(_StrictView):
    """What has arrived."""

    decoder = msgspec.json.Decoder(NewMovement)

    def post(self, request: Request) -> Response:
        """Credit it, once."""
        asked = self.message
        movement, is_new = accounts.deposit(
            customer_id=_customer_id(asked.customer),
            amount=_amount(asked.amount),
            reference=asked.reference,
            now=clock.of("default").now(),
        )
        return _answer(movement_body(movement), is_new=is_new)


class WalletWithdrawalsView(_StrictView):
    """What is to be paid out."""

    decoder = msgspec.json.Decoder(NewMovement)

    def get(self, request: Request) -> Response:
        """Withdrawals, newest first."""
        query = query_of(request, WithdrawalQuery)
        rows = Withdrawal.objects.select_related("customer")
        if query.state is not None:
            rows = rows.filter(state=query.state.upper())
        page, next_cursor = page_of(between(rows, query, "reserved_at"), query, Kind.WITHDRAWAL)
        return Response(WalletWithdrawalPage([wallet_withdrawal(row) for row in page], next_cursor))

    def post(self, request: Request) -> Response:
        """Take it from the customer's account, once."""
        asked = self.message
        withdrawal, is_new = withdrawals.reserve(
            customer_id=_customer_id(asked.customer),
            amount=_amount(asked.amount),
            reference=asked.reference,
            now=clock.of("default").now(),
        )
        return _answer(wallet_withdrawal(withdrawal), is_new=is_new)


class WithdrawalView(WalletView):
    """One withdrawal."""

    def get(self, request: Request, reference: str) -> Response:
        """Where it stands."""
        return Response(wallet_withdrawal(withdrawals.withdrawal_of(_reference(reference))))


class ConfirmView(WalletView):
    """The first end of a withdrawal."""

    def post(self, request: Request, reference: str) -> Response:
        """It was paid out."""
        return _ended(request, withdrawals.confirm, reference)


class ReleaseView(WalletView):
    """The other end of a withdrawal."""

    def post(self, request: Request, reference: str) -> Response:
        """It is not paid out."""
        return _ended(request, withdrawals.release, reference)


class MovementsView(WalletView):
    """What the wallet can compare its own with."""

    def get(self, request: Request) -> Response:
        """Every step of every deposit and withdrawal, oldest first."""
        query = query_of(request, MovementQuery)
        rows = cash.movements(after_id=query.after, limit=query.limit)
        last_id = rows[-1].pk if rows else query.after
        return Response(MovementPage([movement_body(row) for row in rows], last_id))


def _ended(request: Request, end: Callable[..., Withdrawal], reference: str) -> Response:
    if request.body:
        raise ApiError("invalid_request", "this address takes no body")
    return Response(wallet_withdrawal(end(reference=_reference(reference), now=clock.of("default").now())))


def _reference(given: str) -> str:
    """A reference out of an address, which may hold anything."""
    try:
        return msgspec.convert(given, Reference)
    except msgspec.ValidationError as error:
        raise withdrawals.WithdrawalMissing("no reference looks like that") from error


def _answer(body: object, *, is_new: bool) -> Response:
    return Response(body, status=201, headers=None if is_new else {"Idempotent-Replayed": "true"})


def _customer_id(reference: str) -> int:
    found = Customer.objects.filter(reference=reference).values_list("pk", flat=True).first()
    if found is None:
        raise ApiError("account_not_found", f"there is no customer {reference}")
    return found


def _amount(asked: Amount) -> Decimal:
    amount = read_amount(asked)
    if not amount:
        raise ApiError("invalid_request", "has to be more than nothing", path="$.amount")
    return amount
