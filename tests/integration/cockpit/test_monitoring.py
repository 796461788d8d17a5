"""The alert rules and every panel of the dashboard, asked of a real Prometheus that scrapes the real endpoint."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest
import requests
import yaml

from tests.integration.cockpit.test_metrics import MONITORING, expressions
from tests.support.skips import needs
from tools.embedded.valkey import free_port
from tools.stack.supervision import wait_until

WITHIN_SECONDS = 60.0
SCRAPES = "count_over_time(crossbook_desk_up[5m])"


def program(name):
    found = shutil.which(name)
    if found is None:
        pytest.skip(needs("prometheus", "the alert rules were not tried"))
    return found


class Prometheus:
    """Debian's Prometheus, scraping one address several times a second."""

    def __init__(self, folder: Path, target: str) -> None:
        self.url = f"http://127.0.0.1:{free_port()}"
        shutil.copy(MONITORING / "alerts.yml", folder)
        example = (MONITORING / "prometheus.yml").read_text()
        config = example.replace("scrape_interval: 15s", "scrape_interval: 300ms\n  evaluation_interval: 1s")
        (folder / "prometheus.yml").write_text(config.replace("127.0.0.1:8000", target))
        command = [
            program("prometheus"),
            f"--config.file={folder / 'prometheus.yml'}",
            f"--storage.tsdb.path={folder / 'data'}",
            f"--web.listen-address={self.url.removeprefix('http://')}",
        ]
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def get(self, path: str, **query: str):
        answer = requests.get(f"{self.url}/api/v1/{path}", params=query, timeout=10)
        body = answer.json()
        assert body["status"] == "success", body
        return body["data"]

    def ask(self, expression: str):
        return self.get("query", query=expression)["result"]

    def has_scraped(self, times: int) -> bool:
        try:
            found = self.ask(SCRAPES)
        except OSError:
            return False
        return bool(found) and float(found[0]["value"][1]) >= times


@pytest.fixture
def prometheus(worked, live_server, tmp_path):
    running = Prometheus(tmp_path, live_server.url.removeprefix("http://"))
    try:
        assert wait_until(lambda: running.has_scraped(3), within_seconds=WITHIN_SECONDS)
        yield running
    finally:
        running.process.terminate()
        running.process.wait(timeout=30)


def test_promtool_finds_no_fault_in_the_rules_and_the_example():
    for kind, file in (("rules", "alerts.yml"), ("config", "prometheus.yml")):
        command = [program("promtool"), "check", kind, str(MONITORING / file)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stdout + done.stderr


def test_each_rule_fires_on_its_condition_alone_and_not_otherwise():
    command = [program("promtool"), "test", "rules", str(MONITORING / "alerts_test.yml")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr


def test_each_rule_is_seen_to_fire_and_to_be_silent_before_and_after():
    rules = re.findall(r"- alert: (\w+)", (MONITORING / "alerts.yml").read_text())
    _, *tests = yaml.safe_load((MONITORING / "alerts_test.yml").read_text())["tests"]
    assert [test["name"] for test in tests] == rules
    for test in tests:
        before, during, after = (asked.get("exp_samples", []) for asked in test["promql_expr_test"])
        [fires] = during
        assert (before, after) == ([], []), test["name"]
        assert (fires["labels"], fires["value"]) == (f'{{alertname="{test["name"]}"}}', 1)


def test_every_panel_has_an_answer_and_every_rule_is_evaluated(prometheus):
    rules, panels = expressions()
    assert [panel for panel in panels if not prometheus.ask(panel)] == []
    for rule in rules:
        prometheus.ask(rule)

    def loaded():
        groups = prometheus.get("rules")["groups"]
        return [rule for group in groups for rule in group["rules"] if rule["health"] != "unknown"]

    assert wait_until(lambda: len(loaded()) == len(rules), within_seconds=WITHIN_SECONDS)
    assert [rule for rule in loaded() if rule["health"] != "ok"] == []
    firing = {rule["name"] for rule in loaded() if rule["state"] == "firing"}
    assert firing == set()
