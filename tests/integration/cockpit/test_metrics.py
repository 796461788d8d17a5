"""/metrics says what the figures say, to whom it may, and is what the alert rules and the dashboard ask for."""

import json
import re
from pathlib import Path

import pytest
from django.test import Client
from django.utils import timezone
from prometheus_client.parser import text_string_to_metric_families

from cockpit.alerts import CODES
from counter.models.switches import ALL_COINS
from counter.trading.switches import State, throw

MONITORING = Path(__file__).resolve().parents[3] / "docs/monitoring"
NAME = re.compile(r"\bcrossbook_[a-z0-9_]+")


def scraped(client=None, **headers):
    response = (client or Client()).get("/metrics", headers=headers)
    assert response.status_code == 200, response.content
    return response.content.decode()


def samples(text):
    return {
        (sample.name, *sorted(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def expressions():
    """Every query of the alert rules and of the Grafana dashboard."""
    rules = re.findall(r"^ +expr: '(.*)'$", (MONITORING / "alerts.yml").read_text(), re.MULTILINE)
    board = json.loads((MONITORING / "dashboard.json").read_text())
    panels = [target["expr"] for panel in board["panels"] for target in panel["targets"]]
    assert len(rules) == (MONITORING / "alerts.yml").read_text().count("- alert:")
    assert len(panels) > 20
    return [rule.replace("''", "'") for rule in rules], panels


def test_the_counters_are_the_totals_and_the_histogram_holds_every_order(worked):
    found = samples(scraped())
    assert found["crossbook_orders_total", ("step", "reported")] == worked.reported > 0
    assert found["crossbook_settle_seconds_count",] == worked.settled
    assert found["crossbook_settle_seconds_bucket", ("le", "+Inf")] == worked.settled
    assert found["crossbook_result_usdt", ("part", "spread")] == float(worked.spread)
    assert found["crossbook_desk_up",] == 1
    assert found["crossbook_needs_human", ("code", "audit_broken")] == 0
    assert {labels[0][1] for name, *labels in found if name == "crossbook_needs_human"} == set(CODES)


def test_what_is_stopped_is_said_of_each_coin(two_systems):
    thrown = {"reason": "a test", "by": "ann", "now": timezone.now()}
    throw(underlying="BTC", to=State.ALL_STOPPED, **thrown)
    throw(underlying=ALL_COINS, to=State.OPENS_STOPPED, **thrown)
    found = samples(scraped())
    assert found["crossbook_trading_stopped", ("coin", "BTC")] == 2
    assert found["crossbook_trading_stopped", ("coin", "ETH")] == 1
    assert found["crossbook_needs_human", ("code", "trading_stopped")] == 2


def test_prometheus_may_ask_for_either_format(worked):
    assert scraped(accept="application/openmetrics-text; version=1.0.0").rstrip().endswith("# EOF")


def test_every_metric_that_a_rule_or_a_panel_asks_for_is_there(worked):
    families = list(text_string_to_metric_families(scraped()))
    there = {sample.name for family in families for sample in family.samples}
    asked = {name for group in expressions() for query in group for name in NAME.findall(query)}
    assert len(asked) > 20
    assert asked - there == set()


@pytest.mark.parametrize(
    ("address", "headers", "status"),
    [
        ("127.0.0.1", {}, 200),
        ("::1", {}, 200),
        ("10.0.0.7", {}, 403),
        ("", {}, 403),
        ("127.0.0.1", {"x-forwarded-for": "10.0.0.7"}, 403),
        ("127.0.0.1", {"forwarded": "for=10.0.0.7"}, 403),
    ],
)
@pytest.mark.django_db(databases=["default", "desk"])
def test_without_a_token_this_machine_alone_may_read(address, headers, status):
    assert Client(REMOTE_ADDR=address).get("/metrics", headers=headers).status_code == status


@pytest.mark.parametrize(
    ("given", "status"),
    [("Bearer right", 200), ("Bearer wrong", 403), ("Token right", 403), ("Bearer rïght", 403), ("", 403)],
)
@pytest.mark.django_db(databases=["default", "desk"])
def test_with_a_token_nobody_reads_without_it(settings, given, status):
    settings.METRICS_TOKEN = "right"
    for address in ("127.0.0.1", "10.0.0.7"):
        client = Client(REMOTE_ADDR=address)
        assert client.get("/metrics", headers={"authorization": given}).status_code == status


@pytest.mark.django_db(databases=["default", "desk"])
def test_nothing_can_be_sent_to_it():
    assert Client().post("/metrics").status_code in (403, 405)
