"""No address of the admin or the trade page answers 500 to anything in its path, its query or its form.

Lists take turns with what all of them understand alike, so that each value and each parameter is met by some of them;
`make fuzz` tries all with all. Without infra.http_server.parameters both find what each of its guards prevents.
"""

import random
import re
from urllib.parse import quote

import pytest
from django.contrib import admin
from django.test import Client
from django.urls import URLResolver, get_resolver

from tests.support.examples import TIMES
from tests.support.factories import make_customer
from tests.support.staff import staff

# Each statement is a transaction of its own, as in the product: one that fails leaves no other aborted.
pytestmark = [
    pytest.mark.django_db(transaction=True, databases=["default", "desk"]),
    pytest.mark.property,
    pytest.mark.usefixtures("sessions_remembered"),  # before `client` logs in
]

# What people, scanners and broken links put where a text, a number, a time or a choice is expected.
VALUES = [
    "\0",
    "a\0b",
    "",
    " ",
    "0",
    "-1",
    "1.5",
    "1e400",
    "9" * 18,
    "9" * 19,
    "9" * 40,
    "9" * 5000,
    "-" + "9" * 30,
    "NaN",
    "Infinity",
    "٣",
    "²",
    "\ud7ff\ue000\U0010ffff",
    "%",
    "_5C_00",
    "_00",
    "'\";--",
    "[]",
    "null",
    "True",
    "2026-02-30",
    "9999-12-31T23:59:59",
    "0000-00-00",
    "over-999999999",
    "../..",
    "x" * 3000,
]
PARAMETERS = [
    "q",
    "p",
    "o",
    "all",
    "e",
    "_facets",
    "_popup",
    "_to_field",
    "_changelist_filters",
    "next",
    "id",
    "pk",
]
PARAMETERS += ["app_label", "model_name", "field_name", "term", "extended_models"]
LOOKUPS = ["", "__exact", "__in", "__isnull", "__gte", "__range", "__year", "__date", "__regex", "__nope"]
EVERYWHERE = ["\0", "9" * 40, "-1", "x" * 3000]  # of VALUES, what each address with an id in it is tried with
IN_TURN = 2  # of PARAMETERS for each list: each of them meets seven lists, with other values
LOOKUPS_IN_TURN = 2  # of LOOKUPS for each filter of a list: each of them meets some nine filters
FILLED_IN_TURN = 10  # of VALUES for each form that adds a row: each value meets two of them
ACTED_IN_TURN = 4  # values for each action of a list: each value meets some 30 of them
TRADED_IN_TURN = 8  # of VALUES for each address of the trade page: each value meets seven, by both methods
_VARYING = re.compile(r"<(?:\w+:)?\w+>|\(\?P<\w+>[^)]*\)")


def routes(resolver=None, prefix=""):
    """Every route of the site, as its patterns have it."""
    for entry in (resolver or get_resolver()).url_patterns:
        route = prefix + str(entry.pattern)
        if isinstance(entry, URLResolver):
            yield from routes(entry, route)
        else:
            yield route


ROUTES = sorted(route for route in set(routes()) if route.startswith(("admin/", "trade/")))
MODELS = sorted(admin.site._registry, key=lambda model: model._meta.label)


def addresses(route):
    """The addresses of a route: what varies in it takes each of VALUES, and what numbers look like."""
    plain = route.replace("^", "").replace("$", "")
    if not _VARYING.search(plain):
        return ["/" + plain]
    values = EVERYWHERE if "object_id" in plain else [*VALUES, "1", "retry"]
    return ["/" + _VARYING.sub(quote(value, safe=""), plain) for value in values]


def list_address(model):
    return f"/admin/{model._meta.app_label}/{model._meta.model_name}/"


@pytest.fixture
def client():
    client = staff("root", superuser=True)
    client.raise_request_exception = False
    return client


@pytest.fixture
def customer_client():
    client = Client(raise_request_exception=False)
    client.force_login(make_customer().user)
    return client


def in_turn(values, *, turn, count):
    """So many of the values, other ones for each turn; all of them for `make fuzz`."""
    if TIMES:
        return list(values)
    return [values[(turn * count + number) % len(values)] for number in range(min(count, len(values)))]


def errors_of(client, addresses_and_data, method="get"):
    found = []
    for address, data in addresses_and_data:
        response = getattr(client, method)(address, data)
        if response.status_code >= 500:
            found.append((address[:120], {name: str(value)[:40] for name, value in data.items()}))
    return found


def test_no_path_is_an_error_of_ours(client):
    asked = [(address, {}) for route in ROUTES if route != "admin/logout/" for address in addresses(route)]
    assert len(asked) > 500
    assert errors_of(client, asked) == []


def queries(model):
    """Queries of a model's list: its filters with every look-up, its columns and the admin's own names."""
    rng = random.Random(model._meta.label)
    fields = [field.name for field in model._meta.get_fields() if not field.auto_created or field.concrete]
    filters = [
        entry[0] if isinstance(entry, tuple) else entry for entry in admin.site._registry[model].list_filter
    ]
    parameters = [
        *in_turn(PARAMETERS, turn=MODELS.index(model), count=IN_TURN),
        *(entry.parameter_name for entry in filters if hasattr(entry, "parameter_name")),
    ]
    parameters += [name + rng.choice(LOOKUPS) for name in fields]
    parameters += [
        name + lookup
        for number, name in enumerate(name for name in filters if isinstance(name, str))
        for lookup in in_turn(LOOKUPS, turn=MODELS.index(model) + number, count=LOOKUPS_IN_TURN)
    ]
    return [(list_address(model), {name: rng.choice(VALUES)}) for name in parameters]


def test_no_query_of_a_list_is_an_error_of_ours(client):
    asked = [query for model in MODELS for query in queries(model)]
    assert len(asked) > 800
    assert errors_of(client, asked) == []


@pytest.mark.parametrize(
    "query",
    [
        "q=%00",
        "contracts__in=9999999999999999999",
        "contracts__range=1",
        "state__regex=%5B",
        "order_id__exact=" + "9" * 40,
        "received_at__gte=9999-12-31T23:59:59",
    ],
)
def test_what_a_column_cannot_hold_is_refused_or_finds_nothing(client, query):
    assert client.get(f"/admin/acceptance/acceptedorder/?{query}").status_code in (200, 302, 400)


def test_no_search_is_an_error_of_ours(client):
    values = [*EVERYWHERE, "٣", "²", "9" * 19, "1e400"]
    asked = [
        (place, {"q": value})
        for place in ("/admin/timeline/", "/admin/search/", "/admin/autocomplete/")
        for value in values
    ]
    for turn, address in enumerate(map(list_address, MODELS)):
        asked += [(address, {"q": value}) for value in ("\0", *in_turn(values[1:], turn=turn, count=1))]
    assert errors_of(client, asked) == []


def test_no_form_is_an_error_of_ours(client):
    asked, forms = [], 0
    for model in MODELS:
        page = client.get(list_address(model) + "add/")
        if page.status_code == 200 and page.context and "adminform" in page.context:
            names = list(page.context["adminform"].form.fields)
            values = in_turn(VALUES, turn=forms, count=FILLED_IN_TURN)
            asked += [(list_address(model) + "add/", dict.fromkeys(names, value)) for value in values]
            forms += 1
        asked += [(list_address(model), {"action": value, "_selected_action": value}) for value in EVERYWHERE]
    for address in ("/admin/login/", "/trade/login/", "/admin/password_change/"):
        names = ("username", "password", "next", "otp_token", "otp_device", "old_password", "new_password1")
        asked += [(address, dict.fromkeys(names, value)) for value in EVERYWHERE]
    assert errors_of(client, asked, method="post") == []


def forms_of(model, values):
    """Each action of a list on rows that there are none of, with what stands beside it."""
    admin_of = admin.site._registry[model]
    actions = [getattr(action, "__name__", action) for action in admin_of.actions or ()]
    beside = dict.fromkeys(getattr(admin_of.action_form, "base_fields", ()), "")
    for number, action in enumerate(sorted({*actions, "delete_selected"})):
        for value in in_turn(values, turn=MODELS.index(model) + number, count=ACTED_IN_TURN):
            sent = {**dict.fromkeys(beside, value), "action": action, "_selected_action": value}
            yield list_address(model), sent
            yield list_address(model), {**sent, "select_across": "1", "index": value, "post": "yes"}


def test_no_action_of_a_list_is_an_error_of_ours(client):
    values = [*EVERYWHERE, "1", "9" * 19, "9" * 5000, "\ud7ff\ue000\U0010ffff", "1e400", "²"]
    asked = [form for model in MODELS for form in forms_of(model, values)]
    assert len(asked) > 500
    assert errors_of(client, asked, method="post") == []


def test_nothing_posted_to_any_address_is_an_error_of_ours(client):
    names = ("state", "reason", "action", "operation", "seen", "version", "why", "amount", "id", "next", "pk")
    values = ("", *EVERYWHERE, "²")
    asked = []
    for turn, route in enumerate(
        route for route in ROUTES if route.startswith("admin/") and "log" not in route
    ):
        for number, place in enumerate(addresses(route)[:3]):
            sent = in_turn(values, turn=turn + number, count=1)
            asked += [(place, dict.fromkeys(names, value)) for value in sent]
    assert len(asked) > 500
    assert errors_of(client, asked, method="post") == []


def test_nothing_sent_to_the_trade_page_is_an_error_of_ours(customer_client, settings):
    settings.REQUESTS_PER_SECOND = settings.REQUESTS_AT_ONCE = 100_000
    names = ("coin", "expiry", "symbol", "contracts", "position", "after", "page", "type", "ticket", "payout")
    routes = [route for route in ROUTES if route.startswith("trade/") and "log" not in route]
    places = [address for route in routes for address in addresses(route)[:3]]
    asked = [
        (place, dict.fromkeys(names, value))
        for turn, place in enumerate(places)
        for value in in_turn(VALUES, turn=turn, count=TRADED_IN_TURN)
    ]
    asked += [
        (place, {name: value})
        for turn, place in enumerate(places)
        for number, name in enumerate(names)
        for value in in_turn(EVERYWHERE, turn=turn + number, count=1)
    ]
    assert customer_client.get("/trade/book/").status_code == 200
    assert errors_of(customer_client, asked) == []
    assert errors_of(customer_client, asked, method="post") == []
