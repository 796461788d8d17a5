"""The wallet service's door: customers, deposits, withdrawals in two steps, and what it can compare its own with.

Every call may be repeated without harm, signed anew each time. `counter.api.signed` opens the door.
"""

from collections.abc import Callable
from decimal import Decimal

import msgspec
from django.http import HttpRequest, HttpResponse
from django.utils import timezone

from counter.api.answers import json_answer
from counter.api.errors import ApiError
from counter.api.fields import Amount, read_amount
from counter.api.pages import page_of
from counter.api.repeats import check_no_repeats
from counter.api.views import T, body_of, decode, query_of
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

_NEW_CUSTOMER = msgspec.json.Decoder(NewCustomer)
_NEW_MOVEMENT = msgspec.json.Decoder(NewMovement)


def open_account(request: HttpRequest) -> HttpResponse:
    """Open a customer's account, once."""
    asked = _read(request, _NEW_CUSTOMER)
    customer = accounts.open_customer(reference=asked.reference, password=None, now=timezone.now())
    return json_answer(customer_body(customer), status=201)


def deposit(request: HttpRequest) -> HttpResponse:
    """Credit what has arrived, once."""
    asked = _read(request, _NEW_MOVEMENT)
    movement, is_new = accounts.deposit(
        customer_id=_customer_id(asked.customer),
        amount=_amount(asked.amount),
        reference=asked.reference,
        now=timezone.now(),
    )
    return _answer(movement_body(movement), is_new=is_new)


def reserve(request: HttpRequest) -> HttpResponse:
    """Take what is to be paid out from the customer's account, once."""
    asked = _read(request, _NEW_MOVEMENT)
    withdrawal, is_new = withdrawals.reserve(
        customer_id=_customer_id(asked.customer),
        amount=_amount(asked.amount),
        reference=asked.reference,
        now=timezone.now(),
    )
    return _answer(wallet_withdrawal(withdrawal), is_new=is_new)


def confirm(request: HttpRequest, reference: str) -> HttpResponse:
    """It was paid out."""
    return _ended(request, withdrawals.confirm, reference)


def release(request: HttpRequest, reference: str) -> HttpResponse:
    """It is not paid out."""
    return _ended(request, withdrawals.release, reference)


def read_withdrawal(request: HttpRequest, reference: str) -> HttpResponse:
    """Where a withdrawal stands."""
    return json_answer(wallet_withdrawal(withdrawals.withdrawal_of(_reference(reference))))


def list_withdrawals(request: HttpRequest) -> HttpResponse:
    """Withdrawals, newest first."""
    query = query_of(request, WithdrawalQuery)
    rows = Withdrawal.objects.select_related("customer")
    if query.state is not None:
        rows = rows.filter(state=query.state.upper())
    page, next_cursor = page_of(rows, query)
    return json_answer(WalletWithdrawalPage([wallet_withdrawal(row) for row in page], next_cursor))


def list_movements(request: HttpRequest) -> HttpResponse:
    """Every step of every deposit and withdrawal, oldest first."""
    query = query_of(request, MovementQuery)
    rows = cash.movements(after_id=query.after, limit=query.limit)
    return json_answer(
        MovementPage([movement_body(row) for row in rows], rows[-1].pk if rows else query.after)
    )


def _read(request: HttpRequest, decoder: msgspec.json.Decoder[T]) -> T:
    raw = body_of(request)
    message = decode(raw, decoder)
    check_no_repeats(raw, colons=-1)  # a name may hold colons: counting them tells nothing
    return message


def _ended(request: HttpRequest, end: Callable[..., Withdrawal], reference: str) -> HttpResponse:
    if request.body:
        raise ApiError("invalid_request", "this address takes no body")
    return json_answer(wallet_withdrawal(end(reference=_reference(reference), now=timezone.now())))


def _reference(given: str) -> str:
    """A reference out of an address, which may hold anything."""
    try:
        return msgspec.convert(given, Reference)
    except msgspec.ValidationError as error:
        raise withdrawals.WithdrawalMissing("no reference looks like that") from error


def _answer(body: object, *, is_new: bool) -> HttpResponse:
    return json_answer(body, status=201, headers=None if is_new else {"Idempotent-Replayed": "true"})


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
