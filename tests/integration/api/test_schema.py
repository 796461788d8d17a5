"""What the schema tells integrators: units of amounts, examples that are true, how to say who asks, limits."""

import json
import re

import msgspec
import pytest
from django.test import Client

from counter.api.order_messages import AnyOrder, OrderBatchBody, OrderOutcomes, PlacedOrder
from counter.api.quote_messages import AnyQuote, FirmQuoteBody

pytestmark = pytest.mark.django_db
UNIT = re.compile(r"USDT|[Cc]oin|fraction")
# Of those that are strings: what is told apart from amounts by its name.
NOT_AMOUNTS = re.compile(
    r"(_at|_id|cursor|id|code|message|type|state|symbol|side|kind|asset|underlying|reasons|opened_by)$"
)


@pytest.fixture
def schema():
    return Client().get("/api/schema", headers={"Accept": "application/json"}).json()


def examples(schema, path, method="post"):
    """(request examples, examples of the good answer)."""
    operation = schema["paths"][path][method]
    good = next(status for status in operation["responses"] if status.startswith("2"))

    def of(body):
        return [each["value"] for each in body["content"]["application/json"]["examples"].values()]

    return of(operation["requestBody"]), of(operation["responses"][good])


def test_every_amount_says_its_unit(schema):
    amounts = 0
    for name, component in schema["components"]["schemas"].items():
        for field, told in component.get("properties", {}).items():
            kinds = [told, *told.get("anyOf", [])]
            plain = [kind for kind in kinds if kind.get("type") == "string" and "enum" not in kind]
            if not plain or NOT_AMOUNTS.search(field) or "format" in plain[0]:
                continue
            description = told.get("description", "") + "".join(kind.get("description", "") for kind in kinds)
            assert UNIT.search(description), f"{name}.{field}: {description!r}"
            amounts += 1
    assert amounts > 25


@pytest.mark.parametrize(
    ("path", "asked", "answered"),
    [
        ("/api/v1/orders", AnyOrder, PlacedOrder),
        ("/api/v1/orders/batch", OrderBatchBody, OrderOutcomes),
        ("/api/v1/quotes", AnyQuote, FirmQuoteBody),
    ],
)
def test_examples_are_what_is_taken_and_told(schema, path, asked, answered):
    requests, responses = examples(schema, path)
    assert requests
    assert responses
    for value in requests:
        msgspec.json.decode(json.dumps(value), type=asked)
    for value in responses:
        read = msgspec.json.decode(json.dumps(value), type=answered)
        assert msgspec.to_builtins(read).keys() == value.keys()


def test_each_operation_may_be_asked_in_three_ways(schema):
    for operations in schema["paths"].values():
        for operation in operations.values():
            assert operation["security"] == [
                {"apiKey": [], "apiTimestamp": [], "apiSignature": []},
                {"tokenAuth": []},
                {"cookieAuth": []},
            ]
    schemes = schema["components"]["securitySchemes"]
    assert {scheme["name"] for scheme in schemes.values() if scheme["in"] == "header"} == {
        *("X-API-Key", "X-API-Timestamp", "X-API-Signature", "Authorization"),
    }


def test_every_answer_may_tell_the_limits(schema):
    for operations in schema["paths"].values():
        for operation in operations.values():
            for status, response in operation["responses"].items():
                assert "RateLimit-Remaining" in response["headers"]
                assert ("Retry-After" in response["headers"]) == (status in ("429", "503"))


def test_the_documentation_asks_no_other_server(schema):
    page = Client().get("/api/docs").content.decode()
    loaded = re.findall(r"""(?:src|href)=["']([^"']+)""", page)
    assert loaded
    for address in loaded:
        assert address.startswith("/static/"), address
        served = Client().get(address)
        served.close()
        assert served.status_code == 200
