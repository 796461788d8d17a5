"""Who may call, how errors look wherever they arise, and what the schema says."""

import re
from io import StringIO
from pathlib import Path

import pytest
from django.contrib.auth import get_user_model
from django.core.management import CommandError, call_command
from django.test import Client
from rest_framework.authtoken.models import Token

import counter.api.codes
from counter.models import Account, Customer
from tests.support.api import error_of

ADDRESSES = ["orders", "orders/1", "positions", "positions/1", "accounts", "ledger", "portfolio"]
MARKET = ["instruments", "quotes", "greeks", "index"]


@pytest.fixture
def staff(db):
    return get_user_model().objects.create_user("staff", is_staff=True)


# --- credentials ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("address", ADDRESSES)
@pytest.mark.django_db
def test_nothing_is_told_to_strangers(address):
    response = Client().get(f"/api/v1/{address}")
    assert error_of(response, 401)["code"] == "not_authenticated"
    assert response["WWW-Authenticate"] == "ApiKey, Token"


@pytest.mark.parametrize(
    "header", ["Token", "Token x y", "Token x", "Token é", "Token a\x00b", "Token " + "0" * 40]
)
@pytest.mark.django_db
def test_bad_tokens_are_refused(header):
    response = Client(headers={"Authorization": header}).get("/api/v1/accounts")
    assert error_of(response, 401)["code"] == "authentication_failed"


def test_a_revoked_token_is_out_at_once(caller):
    assert caller.get("accounts").status_code == 200
    Token.objects.all().delete()
    assert error_of(caller.get("accounts"), 401)["code"] == "authentication_failed"


def test_an_inactive_user_is_out_at_once(caller):
    get_user_model().objects.update(is_active=False)
    assert error_of(caller.get("accounts"), 401)["code"] == "authentication_failed"


@pytest.mark.parametrize("address", [*ADDRESSES, *MARKET])
def test_users_who_are_no_customers_are_refused(staff, address):
    client = Client(headers={"Authorization": f"Token {Token.objects.create(user=staff).key}"})
    assert error_of(client.get(f"/api/v1/{address}"), 403)["code"] == "customer_required"


def test_a_session_speaks_for_its_customer_but_needs_the_csrf_token_to_place(caller, option):
    client = Client(enforce_csrf_checks=True)
    client.force_login(caller.customer.user)
    assert client.get("/api/v1/accounts").status_code == 200
    order = {"type": "open", "client_order_id": "s", "symbol": option.symbol, "contracts": 1}
    response = client.post("/api/v1/orders", order, content_type="application/json")
    assert error_of(response, 403)["code"] == "permission_denied"


def test_knowing_the_customer_takes_one_query(caller, django_assert_num_queries):
    with django_assert_num_queries(2):  # the token with its customer, and the account
        caller.get("accounts")


# --- one shape for every error --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "path", ["/api/", "/api/v1/nothing", "/api/v1/orders/", "/internal/v1/x", "/api/v1/orders/x/y"]
)
@pytest.mark.parametrize("method", ["get", "post"])
@pytest.mark.django_db
def test_unknown_addresses_are_told_in_json(path, method):
    assert error_of(getattr(Client(), method)(path), 404)["code"] == "not_found"


def test_wrong_methods_are_told_with_the_right_ones(caller):
    response = caller.http.put("/api/v1/orders", "{}", content_type="application/json")
    assert error_of(response, 405)["code"] == "method_not_allowed"
    assert set(response["Allow"].split(", ")) >= {"GET", "POST"}


def test_a_caller_who_accepts_no_json_is_told_so(caller):
    response = caller.http.get("/api/v1/accounts", headers={"Accept": "text/html"})
    assert error_of(response, 406)["code"] == "not_acceptable"


@pytest.mark.django_db
def test_a_wrong_host_is_told_in_json():
    assert error_of(Client().get("/api/v1/accounts", headers={"Host": "evil.example"}), 400)


# --- schema and documentation ---------------------------------------------------------------------------------------


@pytest.mark.django_db
def test_schema_describes_the_public_addresses_and_no_others():
    schema = Client().get("/api/schema", headers={"Accept": "application/json"}).json()
    assert set(schema["paths"]) == {
        *(f"/api/v1/{name}" for name in ("orders", "orders/batch", "orders/{order_id}", "positions")),
        *(
            f"/api/v1/{name}"
            for name in ("positions/{position_id}", "accounts", "ledger", "instruments", "quotes")
        ),
        "/api/v1/stream",
        *("/api/v1/withdrawals", "/api/v1/ledger.csv", "/api/v1/statements/{month}", "/api/v1/time"),
        *("/api/v1/greeks", "/api/v1/index", "/api/v1/portfolio", "/api/v1/webhook-endpoints"),
        *(f"/api/v1/webhook-endpoints/{{endpoint_id}}{rest}" for rest in ("", "/secret")),
    }
    components = schema["components"]["schemas"]
    asked = set(re.findall(r"#/components/schemas/(\w+)", str(schema)))
    assert asked <= set(components)
    assert components["OpenOrder"]["additionalProperties"] is False
    kinds = [components[ref["$ref"].rpartition("/")[2]] for ref in components["NewOrder"]["oneOf"]]
    assert [kind["properties"]["type"]["const"] for kind in kinds] == ["open", "close", "close"]
    placing = schema["paths"]["/api/v1/orders"]["post"]["responses"]
    assert {"201", "400", "401", "403", "409", "413", "415", "422", "429", "500", "503"} <= set(placing)


def test_schema_is_generated_without_a_warning():
    errors = StringIO()
    call_command("spectacular", "--validate", "--fail-on-warn", stdout=StringIO(), stderr=errors)
    assert errors.getvalue() == ""


@pytest.mark.django_db
def test_documentation_page_is_served():
    assert Client().get("/api/docs").status_code == 200


def test_every_error_code_is_documented():
    text = Path(counter.api.codes.__file__).parents[2].joinpath("docs", "api-errors.md").read_text()
    rows = dict(re.findall(r"^\| `(\w+)` \| (\d+) \|", text, flags=re.M))
    assert rows == {str(code): str(known.status) for code, known in counter.api.codes.CODES.items()}


# --- create_customer ------------------------------------------------------------------------------------------------


def create(*arguments):
    out = StringIO()
    call_command("create_customer", *arguments, stdout=out)
    return out.getvalue().strip()


@pytest.mark.django_db
def test_create_customer_prints_a_token_that_works_and_deposits_once():
    token = create("alice", "--deposit", "250.5", "--password", "four plain words")
    assert create("alice", "--deposit", "250.5") == token
    client = Client(headers={"Authorization": f"Token {token}"})
    assert client.get("/api/v1/accounts").json()["results"][0]["balance"] == "250.500000"
    assert Client().login(username="alice", password="four plain words")


@pytest.mark.parametrize("amount", ["-1", "0", "NaN", "ten", "0.0000001", "1e30"])
@pytest.mark.django_db
def test_create_customer_refuses_what_is_no_deposit(amount):
    with pytest.raises(CommandError):
        create("bob", f"--deposit={amount}")
    assert not Account.objects.filter(balance__gt=0).exists()
    assert not Customer.objects.exists()


@pytest.mark.django_db
def test_create_customer_says_what_to_do_when_there_is_a_customer_of_other_content():
    token = create("alice", "--deposit", "10000", "--password", "four plain words")
    with pytest.raises(CommandError, match=r"of 10000 USDT.*without --deposit.*/wallet/v1/deposits"):
        create("alice", "--deposit", "20000")
    with pytest.raises(CommandError, match="changepassword alice"):
        create("alice", "--password", "four other words")
    assert create("alice", "--password", "four plain words") == token
    assert Account.objects.get(customer__reference="alice").balance == 10000


@pytest.mark.parametrize("password", ["pa55", "password1234", "123456789012", "alice-of-wonder"])
@pytest.mark.django_db
def test_create_customer_refuses_a_weak_password_and_makes_nothing(password):
    with pytest.raises(CommandError, match="too weak"):
        create("alice-of-wonders", "--password", password, "--deposit", "10")
    assert not Customer.objects.exists()
