"""What the schema tells integrators: units of amounts, examples that are true, how to say who asks, limits."""

import json
import re
from datetime import timedelta

import msgspec
import pytest
from django.test import Client
from django.utils import timezone

from counter import events
from counter.api.errors import Problem
from counter.api.order_messages import AnyOrder, OrderBatchBody, OrderOutcome, OrderOutcomes, PlacedOrder
from counter.api.quote_messages import AnyQuote, FirmQuoteBody
from counter.api.webhook_messages import NewWebhookEndpoint, RegisteredWebhookEndpoint
from counter.market.symbols import parse_symbol
from infra.coordination import clock

pytestmark = pytest.mark.django_db
FRIDAY = 4
UNIT = re.compile(r"USDT|[Cc]oin|fraction")
# Of those that are strings: what is told apart from amounts by its name.
NOT_AMOUNTS = re.compile(
    r"(_at|_id|cursor|id|code|message|type|state|symbol|side|kind|asset|underlying|reasons|opened_by|url|label|secret|disabled_by|customer)$"
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
        ("/api/v1/webhook-endpoints", NewWebhookEndpoint, RegisteredWebhookEndpoint),
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


@pytest.mark.parametrize("days", [0, 1, 400, 10_000])
def test_examples_are_of_an_option_that_has_not_expired_and_were_written_today(days, monkeypatch):
    today = timezone.now() + timedelta(days=days)
    monkeypatch.setattr(clock.of("default"), "known", lambda: today)
    for accept in ("application/json", "application/vnd.oai.openapi"):
        text = Client().get("/api/schema", headers={"Accept": accept}).content.decode()
        expiries = {parse_symbol(symbol).expiry_at for symbol in re.findall(r"BTC-\w+-90000-[CP]", text)}
        assert len(expiries) == 1
        [expiry] = expiries
        assert timedelta(days=27) < expiry - today < timedelta(days=36)
        assert expiry.weekday() == FRIDAY
        assert set(re.findall(r"\d{4}-\d\d-\d\d(?=T)", text)) == {f"{today:%Y-%m-%d}"}
        assert f"as in {today:%Y-%m}." in text


def test_while_the_clock_is_not_known_there_is_a_schema_too(monkeypatch):
    monkeypatch.setattr(clock.of("default"), "known", lambda: None)
    assert Client().get("/api/schema").status_code == 200


MARKET = {"list_instruments", "list_quotes", "list_greeks", "read_index"}


def test_each_operation_may_be_asked_in_three_ways_and_the_market_and_the_time_by_anybody(schema):
    for path, operations in schema["paths"].items():
        for operation in operations.values():
            if path == "/api/v1/time":
                assert "security" not in operation
                assert "401" not in operation["responses"]
                continue
            assert operation["security"] == [
                {"apiKey": [], "apiTimestamp": [], "apiSignature": []},
                {"tokenAuth": []},
                {"cookieAuth": []},
                *([{}] if operation["operationId"] in MARKET else []),
            ]
    schemes = schema["components"]["securitySchemes"]
    assert {scheme["name"] for scheme in schemes.values() if scheme["in"] == "header"} == {
        *("X-API-Key", "X-API-Timestamp", "X-API-Signature", "Authorization"),
    }


def schemas_in(part):
    """Every object of a part of the schema, itself first."""
    if isinstance(part, dict):
        yield part
    for inner in part.values() if isinstance(part, dict) else part if isinstance(part, list) else ():
        yield from schemas_in(inner)


def test_generators_find_names_for_all_that_needs_one(schema):
    components = schema["components"]["schemas"]
    for name, component in components.items():
        assert component.get("type") in ("object", "string") or set(component) <= {
            "oneOf",
            "discriminator",
        }, name
        for part in schemas_in(component):
            assert part is component or not {"enum", "oneOf", "allOf"} & part.keys(), f"{name}: {part}"
            assert part.get("default", "") is not None, f"{name}: {part}"
    for part in schemas_in(schema["paths"]):
        assert not {"enum", "oneOf", "allOf"} & part.keys(), part


def test_times_are_times(schema):
    for name, component in schema["components"]["schemas"].items():
        for field, told in component.get("properties", {}).items():
            kinds = [told, *told.get("anyOf", [])]
            if field.endswith("_at"):
                assert "date-time" in [kind.get("format") for kind in kinds], f"{name}.{field}"


def test_what_is_left_out_of_an_answer_is_never_null(schema):
    for message in (OrderOutcome, Problem):
        assert message.__struct_config__.omit_defaults
        component = schema["components"]["schemas"][message.__name__]
        for field, told in component["properties"].items():
            assert {"type": "null"} not in told.get("anyOf", []), field
            assert "default" not in told, field
        assert set(component["required"]) < set(component["properties"])


def test_it_says_where_it_is_served_and_what_belongs_together(schema):
    assert [server["url"] for server in schema["servers"]] == ["/"]
    known = {tag["name"] for tag in schema["tags"]}
    used = [operation["tags"] for operations in schema["paths"].values() for operation in operations.values()]
    assert {tag for tags in used for tag in tags} == known
    assert all(len(tags) == 1 for tags in used)


def test_ids_of_operations_stay(schema):
    ids = [operation["operationId"] for each in schema["paths"].values() for operation in each.values()]
    assert sorted(ids) == [
        *("ask_firm_quote", "change_webhook_endpoint", "delete_webhook_endpoint", "download_ledger"),
        *("list_accounts", "list_greeks", "list_instruments", "list_ledger_entries", "list_orders"),
        *("list_positions", "list_quotes", "list_webhook_endpoints", "list_withdrawals", "place_order"),
        *("place_orders", "read_index", "read_order", "read_portfolio", "read_position"),
        *("read_statement", "read_time"),
        *("register_webhook_endpoint", "rotate_webhook_secret", "stream"),
    ]


def test_every_answer_may_tell_the_limits(schema):
    for operations in schema["paths"].values():
        for operation in operations.values():
            for status, response in operation["responses"].items():
                assert {"RateLimit-Remaining", "Request-Id"} <= response["headers"].keys()
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


def test_it_shows_each_webhook(schema):
    assert set(schema["webhooks"]) == set(events.TYPES)
    for name, methods in schema["webhooks"].items():
        [body] = methods["post"]["requestBody"]["content"].values()
        message = schema["components"]["schemas"][body["schema"]["$ref"].rpartition("/")[2]]
        assert set(message["required"]) == {"type", "timestamp", "data"}
        told = message["properties"]["type"]
        kinds = schema["components"]["schemas"][told["$ref"].rpartition("/")[2]] if "$ref" in told else told
        assert name in kinds.get("enum", [kinds.get("const")])
