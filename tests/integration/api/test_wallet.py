"""The wallet service's door: its signature alone opens it, and what it sends again is done once."""

import json
from decimal import Decimal

import pytest
from django.test import Client

from counter.contracts import DESK_TAG, WALLET_TAG
from counter.models import Account, CashMovement, Customer, Withdrawal
from infra.http_client import signatures
from tests.support.api import Caller, error_of
from tests.support.factories import make_customer
from tests.support.signing import SignedClient, wallet_client

pytestmark = pytest.mark.django_db(transaction=True)

BASE = "/wallet/v1"
CUSTOMERS, DEPOSITS, WITHDRAWALS, MOVEMENTS = (
    f"{BASE}/{name}" for name in ("customers", "deposits", "withdrawals", "movements")
)


@pytest.fixture
def wallet():
    return wallet_client()


@pytest.fixture
def customer():
    return make_customer(balance="100")


def post(wallet, path, **body):
    return wallet.post(path, json.dumps(body).encode())


def withdraw(wallet, customer, amount="40", reference="w-1"):
    return post(wallet, WITHDRAWALS, customer=customer.reference, amount=amount, reference=reference)


def end(wallet, how, reference="w-1"):
    return wallet.post(f"{WITHDRAWALS}/{reference}/{how}")


def held(customer):
    return Account.objects.get(customer=customer).balance


# --- access ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "path",
    [
        *(CUSTOMERS, DEPOSITS, WITHDRAWALS, MOVEMENTS),
        *(f"{WITHDRAWALS}/w-1{end}" for end in ("", "/confirm", "/release")),
    ],
)
def test_only_the_wallets_signature_opens_it(path, settings):
    for client in (Client(), Client(headers={"Authorization": f"Bearer {settings.WALLET_KEY}"})):
        for response in (client.get(path), client.post(path, b"{}", content_type="application/json")):
            assert error_of(response, 401)["code"] == "not_authenticated"
    wallet_key, desk_key = (signatures.keys_of(key) for key in (settings.WALLET_KEY, settings.SERVICE_KEY))
    for signature in (
        {},
        {"keys": wallet_key},
        {"keys": desk_key, "tag": WALLET_TAG},
        {"keys": wallet_key, "tag": DESK_TAG},
    ):
        assert error_of(SignedClient(signature).get(path), 401)["code"] == "signature_invalid"


def test_the_wallets_signature_does_not_open_the_desks_door(wallet):
    assert error_of(wallet.get("/internal/v1/sync-orders"), 401)["code"] == "signature_invalid"


def test_wrong_methods_and_addresses_are_told(wallet):
    response = wallet.put(WITHDRAWALS, b"{}")
    assert error_of(response, 405)["code"] == "method_not_allowed"
    assert response["Allow"] == "GET, POST"
    assert error_of(wallet.get(f"{BASE}/nothing"), 404)["code"] == "not_found"


# --- customers and deposits -----------------------------------------------------------------------------------------


def test_a_customer_is_opened_once_and_has_no_password(wallet):
    first = post(wallet, CUSTOMERS, reference="alice@example.org")
    assert first.status_code == 201
    assert post(wallet, CUSTOMERS, reference="alice@example.org").content == first.content
    customer = Customer.objects.get(reference="alice@example.org")
    assert held(customer) == 0
    assert not customer.user.has_usable_password()


def test_a_deposit_is_credited_once(wallet, customer):
    body = {"customer": customer.reference, "amount": "12.5", "reference": "d-1"}
    first, again = post(wallet, DEPOSITS, **body), post(wallet, DEPOSITS, **body)
    assert (first.status_code, again.status_code) == (201, 201)
    assert first.content == again.content
    assert "Idempotent-Replayed" not in first
    assert again["Idempotent-Replayed"] == "true"
    assert first.json()["amount"] == "12.500000"
    assert held(customer) == Decimal("112.5")


@pytest.mark.parametrize("other", [{"amount": "12.6"}, {"customer": "another"}])
def test_a_reference_of_other_content_is_refused(wallet, customer, other):
    post(wallet, CUSTOMERS, reference="another")
    body = {"customer": customer.reference, "amount": "12.5", "reference": "d-1"}
    post(wallet, DEPOSITS, **body)
    assert error_of(post(wallet, DEPOSITS, **(body | other)), 409)["code"] == "reference_reused"
    assert error_of(post(wallet, WITHDRAWALS, **body), 409)["code"] == "reference_reused"
    assert held(customer) == Decimal("112.5")


# --- withdrawals ----------------------------------------------------------------------------------------------------


def test_a_withdrawal_is_reserved_and_confirmed_once(wallet, customer):
    first, again = withdraw(wallet, customer), withdraw(wallet, customer)
    assert first.status_code == again.status_code == 201
    assert first.content == again.content
    assert first.json()["state"] == "reserved"
    assert held(customer) == 60
    done = end(wallet, "confirm")
    assert done.json()["state"] == "confirmed"
    assert end(wallet, "confirm").content == done.content
    assert error_of(end(wallet, "release"), 409)["code"] == "withdrawal_confirmed"
    assert withdraw(wallet, customer).json() == done.json()
    assert held(customer) == 60


def test_a_released_withdrawal_is_the_customers_again(wallet, customer):
    withdraw(wallet, customer)
    done = end(wallet, "release")
    assert done.json()["state"] == "released"
    assert end(wallet, "release").content == done.content
    assert error_of(end(wallet, "confirm"), 409)["code"] == "withdrawal_released"
    assert held(customer) == 100
    assert wallet.get(f"{WITHDRAWALS}/w-1").json() == done.json()


def test_more_than_there_is_cannot_be_withdrawn(wallet, customer):
    error = error_of(withdraw(wallet, customer, "100.000001"), 422)
    assert error["code"] == "insufficient_balance"
    assert (error["field"], error["left"]) == ("balance", "100.000000")
    assert "limit" not in error
    assert not Withdrawal.objects.exists()
    assert withdraw(wallet, customer, 100).status_code == 201
    assert held(customer) == 0


@pytest.mark.parametrize("reference", ["w-2", "%00", "a b", "x" * 65])
def test_what_was_never_reserved_is_told(wallet, reference):
    for response in (
        wallet.get(f"{WITHDRAWALS}/{reference}"),
        end(wallet, "confirm", reference),
        end(wallet, "release", reference),
    ):
        assert error_of(response, 404)["code"] == "withdrawal_not_found"


def test_an_account_holds_no_more_than_can_be_kept(wallet, customer):
    body = {"customer": customer.reference, "amount": "99999999999999.999999", "reference": "d-1"}
    error = error_of(post(wallet, DEPOSITS, **body), 422)
    assert error["code"] == "amount_too_large"
    assert (error["field"], error["limit"], error["left"]) == (
        *("balance", "99999999999999.999999", "99999999999899.999999"),
    )
    assert held(customer) == 100
    assert not CashMovement.objects.filter(reference="d-1").exists()


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"amount": "0"}, "invalid_request"),
        ({"amount": "-1"}, "invalid_request"),
        ({"amount": 1.5}, "invalid_request"),
        ({"amount": "1.0000001"}, "invalid_request"),
        ({"reference": "../confirm"}, "invalid_request"),
        ({"reference": ""}, "invalid_request"),
        ({"reference": "a\n"}, "invalid_request"),
        ({"extra": 1}, "invalid_request"),
        ({"customer": "nobody"}, "account_not_found"),
    ],
    ids=repr,
)
@pytest.mark.parametrize("path", [DEPOSITS, WITHDRAWALS])
def test_what_cannot_be_read_or_done_changes_nothing(wallet, customer, path, change, code):
    before = CashMovement.objects.count()
    body = {"customer": customer.reference, "amount": "10", "reference": "m-1"} | change
    response = post(wallet, path, **body)
    assert error_of(response, 404 if code == "account_not_found" else 400)["code"] == code
    assert CashMovement.objects.count() == before
    assert held(customer) == 100


def test_a_field_that_is_given_twice_is_refused(wallet, customer):
    raw = f'{{"customer":"{customer.reference}","amount":"1","amount":"2","reference":"a"}}'.encode()
    assert error_of(wallet.post(DEPOSITS, raw), 400)["code"] == "invalid_request"


def test_ends_take_no_body(wallet, customer):
    withdraw(wallet, customer)
    response = wallet.post(f"{WITHDRAWALS}/w-1/confirm", b'{"amount":"1"}')
    assert error_of(response, 400)["code"] == "invalid_request"
    assert Withdrawal.objects.get().state == "RESERVED"


# --- lists ----------------------------------------------------------------------------------------------------------


def test_withdrawals_are_listed_by_state(wallet, customer):
    for number in range(4):
        withdraw(wallet, customer, "1", f"w-{number}")
    end(wallet, "confirm", "w-1")
    end(wallet, "release", "w-2")

    def references(**query):
        page = wallet.get(WITHDRAWALS, query_params=query).json()
        return [row["reference"] for row in page["results"]], page["next_cursor"]

    assert references() == (["w-3", "w-2", "w-1", "w-0"], None)
    assert references(state="confirmed") == (["w-1"], None)
    found, cursor = references(state="reserved", limit=1)
    assert found == ["w-3"]
    assert references(state="reserved", limit=1, cursor=cursor) == (["w-0"], None)
    assert error_of(wallet.get(WITHDRAWALS, query_params={"state": "x"}), 400)["code"] == "invalid_request"


def test_the_wallet_can_compare_every_movement_with_its_own(wallet, customer):
    withdraw(wallet, customer, "40", "w-1")
    withdraw(wallet, customer, "10", "w-2")
    end(wallet, "confirm", "w-1")
    end(wallet, "release", "w-2")
    seen, after = [], 0
    while True:
        page = wallet.get(MOVEMENTS, query_params={"after": after, "limit": 2}).json()
        if not page["results"]:
            break
        seen += page["results"]
        after = page["last_id"]
    assert after == page["last_id"]
    assert [(row["kind"], row["reference"], row["amount"]) for row in seen] == [
        ("deposit", f"deposit-{customer.reference}", "100.000000"),
        ("reservation", "w-1", "40.000000"),
        ("reservation", "w-2", "10.000000"),
        ("confirmation", "w-1", "40.000000"),
        ("release", "w-2", "10.000000"),
    ]
    assert {row["customer"] for row in seen} == {customer.reference}


def test_customers_see_their_own_withdrawals(wallet, customer):
    other = make_customer(balance="5")
    withdraw(wallet, customer, "40", "w-1")
    withdraw(wallet, other, "5", "w-2")
    caller = Caller(customer)
    page = caller.get("withdrawals").json()
    assert [(row["amount"], row["state"]) for row in page["results"]] == [("40.000000", "reserved")]
    assert "reference" not in page["results"][0]
    assert caller.get("withdrawals", state="confirmed").json()["results"] == []
    kinds = [(entry["kind"], entry["amount"]) for entry in caller.get("ledger").json()["results"]]
    assert kinds == [("withdrawal", "-40.000000"), ("deposit", "100.000000")]
    end(wallet, "release", "w-1")
    newest = caller.get("ledger").json()["results"][0]
    assert (newest["kind"], newest["amount"], newest["balance_after"]) == (
        *("withdrawal_released", "40.000000", "100.000000"),
    )
