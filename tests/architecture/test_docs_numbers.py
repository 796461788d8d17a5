"""Numbers and defaults in the documents are those of the code."""

import os
import re
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings

from audit.registry import INVARIANTS
from config import settings as DEFAULTS
from config.environment import Subject
from counter.access.request_signing import DEFAULT_RECV_WINDOW_MS, LONGEST_RECV_WINDOW_MS
from counter.api import framework_timeout, logins
from counter.api import urls as api_urls
from counter.orders.queue import CROWD_RETURNS_WITHIN_SECONDS, WAITING_ORDERS
from counter.stream.hub import MAX_LISTENERS_OF_CUSTOMER
from infra.http_server import bodies
from settlement.interventions import batches
from settlement.venues import error_table
from tools.embedded import keys
from tools.stack.programs import _apps

ROOT = Path(__file__).resolve().parents[2]
README_BYTES = 8192
NUMBERS = {"six": 6, "seven": 7, "eight": 8, "nine": 9}


def internal_addresses() -> int:
    """What counter offers to the desk."""
    names = [str(pattern.pattern) for pattern in api_urls.urlpatterns]
    return len([name for name in names if name.startswith("internal/v1/")])


def locked_packages() -> int:
    return len(re.findall(r"^[\w.-]+==", (ROOT / "requirements.lock").read_text(), re.MULTILINE))


def default_of(name: str) -> float:
    """Of a variable that tests may have set."""
    [found] = [
        variable.default
        for subject in Subject.declared
        for variable in subject.variables
        if variable.name == name
    ]
    return float(found)


HELD: list[tuple[str, str, Callable[[], Any]]] = [
    ("README.md", r"the (\w+) invariants", lambda: len(INVARIANTS)),
    ("docs/decisions/two-databases.md", r"the (\w+) internal calls", internal_addresses),
    ("docs/api-rules.md", r"When ([\d,]+) orders wait already", lambda: WAITING_ORDERS),
    ("docs/decisions/order-queue.md", r"At most ([\d,]+) orders wait", lambda: WAITING_ORDERS),
    (
        "docs/decisions/order-queue.md",
        r"up to (\d+) ms later after a crowd",
        lambda: 1000 * CROWD_RETURNS_WITHIN_SECONDS,
    ),
    ("docs/api-rules.md", r"An attempt is over in (\d+) s", lambda: default_of("ORDER_WITHIN_SECONDS")),
    ("docs/api-rules.md", r"A customer has (\d+) firm quotes at most", lambda: settings.FIRM_QUOTES_LIVE),
    ("docs/api.md", r"may be left out: (\d+); at most", lambda: DEFAULT_RECV_WINDOW_MS),
    ("docs/api.md", r"may be left out: \d+; at most (\d+)", lambda: LONGEST_RECV_WINDOW_MS),
    ("docs/api-stream.md", r"A customer has (\d+) streams at once", lambda: MAX_LISTENERS_OF_CUSTOMER),
    (
        "docs/decisions/quotes.md",
        r"no position is opened after (\w+) seconds",
        lambda: settings.BREAKER_AFTER_SECONDS["quotes_stale"][1],
    ),
    ("docs/decisions/libraries.md", r"(\d+) packages in the run-time lock", locked_packages),
    ("docs/guarantees.md", r"(\d+) rules", lambda: len(error_table.TABLE.rules)),
    ("docs/internet-exposure.md", r"(\d+) tries of a name and of an address", lambda: logins.TRIES_AT_ONCE),
    (
        "docs/internet-exposure.md",
        r"that wait for a thread, except orders \| (\d+) per process",
        lambda: framework_timeout.INSIDE,
    ),
    ("docs/internet-exposure.md", r"an unfinished body \| (\d+) s", lambda: bodies.BODY_WITHIN_SECONDS),
    ("docs/runbook.md", r"all that the filter shows \((\d+) at most\)", lambda: batches.MAX_ROWS),
]


@pytest.mark.parametrize(("page", "pattern", "value"), HELD, ids=[f"{page}: {p[:30]}" for page, p, _ in HELD])
def test_a_number_is_that_of_the_code(page, pattern, value):
    found = re.findall(pattern, (ROOT / page).read_text())
    assert found, "the page no longer says it"
    for groups in found:
        text = "".join(groups) if isinstance(groups, tuple) else groups
        assert (NUMBERS[text] if text in NUMBERS else float(text.replace(",", ""))) == value()


def configuration() -> str:
    """Both pages of variables."""
    return "".join((ROOT / f"docs/configuration{part}.md").read_text() for part in ("", "-trading"))


def test_the_defaults_of_the_configuration_page_are_the_settings():
    """Of settings that are one number and that no test changes."""
    held = 0
    for names, defaults in re.findall(r"^\| (`[^|]*`) \| ([^|]*) \|", configuration(), re.MULTILINE):
        pairs = list(zip(re.findall(r"`(\w+)`", names), defaults.split(", "), strict=False))
        for name, default in pairs:
            if (
                re.fullmatch(r"[\d.]+", default.strip())
                and name not in os.environ
                and hasattr(DEFAULTS, name)
            ):
                assert float(getattr(DEFAULTS, name)) == float(default), name
                held += 1
    assert held > 20


READS = re.compile(r'(?:environ\.get|environ\[|environment\.get|getenv)\(?\s*"([A-Z][A-Z0-9_]+)"')
# uvloop's, which the web program sets; what a stack tells its own processes.
NOT_OURS = {"UV_USE_IO_URING", "CROSSBOOK_PROGRAM", "CHAOS_CLOCKS"}


def variables_read() -> set[str]:
    """Of the environment, by every program."""
    folders = ("config", "infra", "tools/stack", "tools/embedded", "tools/demo", "tools/chaos")
    sources = [path for folder in folders for path in (ROOT / folder).rglob("*.py")]
    declared = {variable.name for subject in Subject.declared for variable in subject.variables}
    return declared | {name for path in sources for name in READS.findall(path.read_text())} - NOT_OURS


def test_every_variable_that_is_read_is_on_the_configuration_page():
    named = set(re.findall(r"`([A-Z][A-Z0-9_]+)`", configuration()))
    assert len(variables_read()) > 60
    assert variables_read() - named == set()


def test_the_availability_of_the_guarantees_is_that_of_the_run_which_the_chaos_page_shows():
    """Of all requests, those that were under way while something was broken among them."""
    chaos, told = ((ROOT / page).read_text() for page in ("docs/chaos.md", "docs/guarantees.md"))
    [others] = re.findall(r"availability +│ 100\.0000% of ([\d,]+) requests", chaos)
    apart = re.findall(r"was broken +│ ([\d,]+) of ([\d,]+) requests failed", chaos)
    failed = sum(int(count.replace(",", "")) for count, _ in apart)
    asked = int(others.replace(",", "")) + sum(int(count.replace(",", "")) for _, count in apart)
    assert len(apart) == 2
    assert f"{100 * (1 - failed / asked):.1f} % of all {asked:,} requests" in told


def test_every_program_of_the_stack_is_named_where_programs_are_told():
    """By its name where the stack is told, and by its command where it is started without the stack."""
    ports = dict.fromkeys(("web", "stream", "flower"), 1)
    programs = {
        app.name: app.command for app in _apps(ports, "127.0.0.1") if not app.name.endswith("-standby")
    }
    assert {"web", "worker", "beat"} <= set(programs)
    runs = re.findall(r"^\| ([a-z]+)(?: \(two\))? \|", (ROOT / "docs/operating.md").read_text(), re.MULTILINE)
    assert set(programs) <= set(runs)
    [apps] = re.findall(r"then the apps \(([^)]*)\)", (ROOT / "docs/decisions/supervisor.md").read_text())
    assert set(programs) <= set(re.findall(r"\w+", apps))
    by_hand = (ROOT / "docs/deploying.md").read_text()
    for name in programs:
        assert re.search(rf"(config\.|manage\.py |config ){name}|config\.{name}ing\b", by_hand), name


def test_every_key_of_the_stack_is_named_where_keys_are_told():
    told = (ROOT / "docs/decisions/supervisor.md").read_text()
    [named] = re.findall(r"^- Keys \(([^)]*)\)", told, re.MULTILINE)
    assert set(keys.PUBLISHED) == set(re.findall(r"`(\w+)`", named))
    assert all(name.partition("_")[0].capitalize() in named.title() for name in keys.KEPT)


def unproven_rows(page: str) -> list[str]:
    """Requirements without an answer, or without a link to code, to what holds it, or to a figure."""
    [table] = re.findall(r"^## Requirements\n\n((?:\|.*\n)+)", page, re.MULTILINE)
    heading, _, *rows = [line.strip("|").split(" | ") for line in table.splitlines()]
    assert [cell.strip() for cell in heading] == ["requirement", "answer", "code", "tested by", "figure"]
    return [
        cells[0]
        for cells in rows
        if len(cells) != 5
        or not re.match(r"(met|met by other means|in part)\b", cells[1])
        or not all("](" in cell for cell in cells[2:])
    ]


def test_each_requirement_has_an_answer_and_links_to_code_test_and_figure():
    page = (ROOT / "docs/guarantees.md").read_text()
    assert unproven_rows(page) == []


@pytest.mark.parametrize(
    ("told", "planted"),
    [
        ("](../counter/orders/) |", " |"),
        (
            "`make bench` ([bench](../tools/bench/README.md)), `make chaos` ([chaos](chaos.md)) |",
            "`make bench` |",
        ),
        ("([rolling](decisions/rolling.md)) |", " |"),
        ("| met: unique by source", "| unique by source"),
    ],
)
def test_a_requirement_that_lacks_one_is_found(told, planted):
    page = (ROOT / "docs/guarantees.md").read_text()
    assert told in page
    assert len(unproven_rows(page.replace(told, planted))) == 1


def test_the_version_is_the_changelogs():
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert (
        re.findall(r"^## \[(\d[^]]*)\] - \d{4}-\d\d-\d\d$", (ROOT / "CHANGELOG.md").read_text(), re.M)[0]
        == version
    )


def test_the_readme_is_short():
    assert len((ROOT / "README.md").read_bytes()) < README_BYTES
