"""Nothing that a customer is told holds the number of a row, by which orders could be counted."""

import re
from decimal import Decimal

import pytest
from django.db import connection
from django.test import Client
from django.utils import timezone

from counter.access import api_keys, webhook_endpoints
from counter.expiring import expiry
from counter.models import FirmQuote, Option, SyncOrder, Transfer, WebhookDelivery, Withdrawal
from counter.money import accounts, withdrawals
from counter.public_ids import Kind, public_id, row_of
from counter.stream.changes import begin
from counter.stream.messages import events_of, last_of, snapshot
from counter.webhooks.messages import bodies
from tests.support.expiring import AFTER, buy, expiring_option, record_index
from tests.support.public_ids import row
from tests.support.visiting import Visitor, forms_in

# So high that no other number in an answer begins like it.
FIRST_ROW = 731_000_000_000
ROW = re.compile(r"731000\d{6}")
SEQUENCES = """
    SELECT sequencename, coalesce(last_value + 1, start_value) FROM pg_sequences
    WHERE sequencename LIKE 'counter\\_%\\_id\\_seq' AND data_type = 'bigint'::regtype
"""
ADDRESSES = (
    *("orders", "orders?limit=1", "orders?state=settled", "positions", "positions?limit=1", "withdrawals"),
    *("withdrawals?limit=1", "ledger", "ledger?limit=1", "ledger.csv?from=2020-01-01T00:00:00Z", "accounts"),
    *("portfolio?span=day", "instruments", "quotes", "greeks", "index?underlying=BTC", "webhook-endpoints"),
)


def restart(sequences):
    with connection.cursor() as cursor:
        for name, first in sequences.items():
            cursor.execute(f"ALTER SEQUENCE {name} RESTART WITH {first}")


@pytest.fixture
def _high_rows(transactional_db):
    """Rows are numbered from FIRST_ROW on."""
    with connection.cursor() as cursor:
        cursor.execute(SEQUENCES)
        before = dict(cursor.fetchall())
    assert {"counter_syncorder_id_seq", "counter_transfer_id_seq", "counter_customer_id_seq"} <= before.keys()
    restart(dict.fromkeys(before, FIRST_ROW + 1))
    yield
    restart(before)


@pytest.fixture
def lived(_high_rows, new_caller, settle, settings):
    """A customer who has done everything, and heard of it."""
    from tests.support.factories import make_option

    settings.EXPIRY_INSTANT_PAYOUT_USDT = Decimal(100)
    caller = new_caller(balance="5000")
    for customer_id in (caller.customer.pk, None):
        webhook_endpoints.register(
            customer_id=customer_id, url="https://bot.example.org/", now=timezone.now()
        )
    accounts.deposit(customer_id=caller.customer.pk, amount=Decimal(9), reference="d-1", now=timezone.now())
    for reference, end in (("w-1", withdrawals.confirm), ("w-2", withdrawals.release)):
        amount = Decimal(5)
        withdrawals.reserve(
            customer_id=caller.customer.pk, amount=amount, reference=reference, now=timezone.now()
        )
        end(reference=reference, now=timezone.now())
    for option in (expiring_option(), expiring_option(), expiring_option(kind="P", in_the_money_by=-1000)):
        buy(caller.customer, option)
    record_index()
    expiry.expire_due(now=AFTER)
    caller.option = make_option()
    return caller


def texts_of_trading(caller, settle):
    """What orders and firm quotes are answered, accepted and refused."""
    symbol = caller.option.symbol
    quote = caller.post("quotes", {"side": "open", "symbol": symbol, "contracts": 2})
    order = {"type": "open", "client_order_id": "o-1", "symbol": symbol, "contracts": 2}
    at_quote = order | {"quote_id": quote.json()["quote_id"]}
    opened = caller.post("orders", at_quote)
    assert opened.status_code == 201
    position = opened.json()["position_id"]
    closing = {"type": "close", "client_order_id": "c-1", "position_id": position, "contracts": 1}
    close_quote = {"side": "close", "position_id": position}
    answers = [
        *(quote, opened, caller.post("orders", at_quote)),
        caller.post("orders", at_quote | {"client_order_id": "o-2"}),  # its quote is used
        caller.post("orders", order | {"contracts": 3}),  # another order of that name
        caller.post("orders", closing | {"contracts": 9}),
        *(caller.post("quotes", close_quote), caller.post("quotes", close_quote | {"contracts": 9})),
        caller.post("quotes", close_quote | {"symbol": "BTC-1JAN30-1-C"}),
        caller.post("orders", closing | {"quote_id": quote.json()["quote_id"]}),
        caller.post("orders/batch", {"orders": [closing, closing | {"contracts": 7}]}),
        caller.post("orders", {**closing, "client_order_id": "c-2", "payout": "at_fill"}),
    ]
    assert {answer.status_code for answer in answers} >= {200, 201, 404, 409, 422}
    for stored in SyncOrder.objects.filter(option=caller.option):
        settle(stored.pk, due=str(stored.fair))
    return [answer.content.decode() for answer in answers]


def texts_of_reading(caller):
    """What every address answers, rows one by one and pages included."""
    answers = [caller.http.get(f"/api/v1/{address}") for address in ADDRESSES]
    for name in ("orders", "positions"):
        rows = caller.get(name).json()["results"]
        answers += [caller.get(f"{name}/{each['id']}") for each in rows]
        answers.append(caller.get(name, cursor=rows[0]["id"]))
    month = f"{timezone.now():%Y-%m}"
    answers += [caller.get(f"statements/{month}")]
    assert {answer.status_code for answer in answers} == {200}
    answers.append(caller.get(f"orders/{public_id(Kind.ORDER, 1)}"))
    answers.append(caller.get(f"positions/{public_id(Kind.POSITION, 1)}"))
    return [answer.getvalue().decode() if answer.streaming else answer.content.decode() for answer in answers]


def texts_of_events(caller):
    """What the stream tells, with the ids of its events, and the bodies of webhooks."""
    channels = {"orders", "positions", "balance"}
    texts = []
    for since in (None, begin(customer_id=caller.customer.pk, since=None)[1].mark(timezone.now())):
        start, told = begin(customer_id=caller.customer.pk, since=since)
        marked = last_of([b"data: 1\n\n"], told.mark(timezone.now()))
        texts += [repr(snapshot(start, channels)), marked.decode(), str(events_of(start))]
    deliveries = list(WebhookDelivery.objects.all())
    assert {each.type for each in deliveries} >= {
        *("order.settled", "payout.credited", "position.exercised", "position.expired"),
        *("deposit.credited", "withdrawal.reserved", "withdrawal.confirmed", "withdrawal.released"),
    }
    return [*texts, *bodies(deliveries, customers={}).values()]


def texts_of_pages(customer, option):
    """The trade page in all its parts, tickets of every kind, and what its forms are answered."""
    visitor = Visitor(customer)
    api_keys.offer(customer_id=customer.pk, label="bot", scopes=["read"], now=timezone.now())
    pages = [visitor.get(f"?opened={option.symbol}"), visitor.get("book/", opened=option.symbol)]
    pages += [visitor.get("portfolio/"), visitor.get("keys/")]
    pages += [visitor.get(f"history/{kind}/") for kind in ("orders", "positions", "ledger")]
    for _ in range(2):
        order = visitor.firm(option, contracts=2)
        pages += [str(order), visitor.send("orders", order).content.decode()]
    held = SyncOrder.objects.filter(customer=customer, kind="OPEN", option=option).latest("pk")
    position = public_id(Kind.POSITION, held.position_id)
    pages += [visitor.get("", position=position), visitor.get("ticket/", position=position)]
    closing = visitor.firm(position=position, contracts=1)
    pages += [str(closing), visitor.send("orders", closing).content.decode()]
    pages.append(visitor.get(f"orders/{public_id(Kind.ORDER, held.pk)}/"))
    all_of_it = visitor.get("ticket/", closing=option.symbol)
    [asked] = forms_in(all_of_it, "closing/quotes")
    firm = visitor.send("closing/quotes", asked).content.decode()
    pages += [all_of_it, firm]
    quotes = re.findall(r'name="quote_id" value="(\w+)"', firm)
    [sent] = forms_in(firm, "closing/orders")
    done = visitor.http.post("/trade/closing/orders/", {**sent, "quote_id": quotes})
    pages += [done.content.decode(), visitor.get("book/", opened=option.symbol)]
    names = SyncOrder.objects.filter(customer=customer, kind="CLOSE").values_list(
        "client_order_id", flat=True
    )
    return [*pages, *names]


def test_no_answer_event_or_page_holds_the_number_of_a_row(lived, settle):
    texts = [
        *texts_of_trading(lived, settle),
        *texts_of_pages(lived.customer, lived.option),
        *texts_of_reading(lived),
        *texts_of_events(lived),
    ]
    for model in (SyncOrder, Transfer, Withdrawal, FirmQuote, WebhookDelivery, Option):
        assert model.objects.latest("pk").pk > FIRST_ROW, model
    for text in texts:
        assert not ROW.search(text), text
    whole = "".join(texts)
    assert len(whole) > 100_000
    for kind in Kind:
        assert row_of(re.search(rf"{kind.value}_[0-9a-f]{{32}}", whole)[0])[0] is kind


def test_the_search_for_numbers_finds_them(lived):
    """Rows are told by their numbers to the exchange's own services, so the pattern is one that they match."""
    order = SyncOrder.objects.latest("pk")
    assert ROW.search(f'{{"id":{order.pk}}}')
    assert row(public_id(Kind.ORDER, order.pk)) == order.pk


# Whole numbers that customers are told or tell: counts of their own, amounts, a time. None is a row's.
COUNTS = {
    *("contracts", "remaining", "unpaid", "open_contracts", "orders_per_s", "entries"),
    *("status", "final_after_ms", "now_ms", "limit", "max_cost", "min_proceeds"),
}
HEADERS = re.compile(r"RateLimit-\w+|Retry-After")


def integers_in(part, name=""):
    """Names of the fields and parameters that may be whole numbers."""
    if isinstance(part, list):
        for each in part:
            yield from integers_in(each, name)
    if not isinstance(part, dict):
        return
    if part.get("type") in ("integer", "number"):
        yield name
    if part.get("in") in ("query", "path", "header"):
        name = part["name"]
    for key, value in part.items():
        if key in ("properties", "headers"):
            for field, told in value.items():
                yield from integers_in(told, field)
        elif key not in ("example", "examples", "value"):
            yield from integers_in(value, name)


def test_no_field_of_the_schema_can_hold_the_number_of_a_row():
    schema = Client().get("/api/schema", headers={"Accept": "application/json"}).json()
    found = {name for name in integers_in(schema) if not HEADERS.fullmatch(name)}
    assert found - COUNTS == set()
    assert found >= {"contracts", "limit", "status"}


def ids_in(schema):
    """Fields that hold an id, each with what the schema says of it."""
    for name, component in schema["components"]["schemas"].items():
        for field, told in component.get("properties", {}).items():
            if field == "id" or field.endswith("_id"):
                yield (
                    f"{name}.{field}",
                    next((kind for kind in told.get("anyOf", []) if "type" in kind), told),
                )


def test_each_id_says_how_it_is_written_and_shows_one():
    schema = Client().get("/api/schema", headers={"Accept": "application/json"}).json()
    ids = dict(ids_in(schema))
    assert {
        "StoredOrder.id",
        "PositionBody.id",
        "FirmQuoteBody.quote_id",
        "LedgerEntryBody.order_id",
    } <= ids.keys()
    for name, told in ids.items():
        assert told["type"] == "string", name
        if not name.startswith(("WebhookEndpoint", "RegisteredWebhook")) and "client_order_id" not in name:
            assert all(re.search(told["pattern"], example) for example in told["examples"]), name
            assert re.fullmatch(r"\^[a-z]{3}_\[0-9a-f\]\{32\}\$", told["pattern"]), name
    [order_id] = schema["paths"]["/api/v1/orders/{order_id}"]["get"]["parameters"]
    assert re.search(order_id["schema"]["pattern"], order_id["schema"]["example"])


def test_a_page_ends_with_its_last_row_and_no_other_list_goes_on_from_it(lived):
    pages = {name: caller_page(lived, name) for name in ("orders", "positions", "ledger", "withdrawals")}
    for name, page in pages.items():
        assert page["next_cursor"] == page["results"][-1]["id"]
        for other in pages:
            status = 200 if other == name else 400
            assert lived.get(other, cursor=page["next_cursor"]).status_code == status, (name, other)


def caller_page(caller, name):
    return caller.get(name, limit=1).json()


def test_ids_tell_nothing_of_what_lies_between(lived, another):
    """Two orders with others between them, and two without."""
    from tests.support.factories import place_open

    first = place_open(lived.customer, lived.option)
    for _ in range(3):
        place_open(another.customer, lived.option)
    second, third = (place_open(lived.customer, lived.option) for _ in range(2))
    newest = [each["id"] for each in lived.get("orders", limit=3).json()["results"]]
    assert [row(each) for each in newest] == [third.id, second.id, first.id]
    numbers = [int(each.partition("_")[2], 16) for each in newest]
    assert min(abs(a - b) for a, b in ((numbers[0], numbers[1]), (numbers[1], numbers[2]))) > 2**64
