"""The product takes the time from `infra.coordination.clock` only: no process's wall clock decides anything."""

import ast
from pathlib import Path

import pytest

from tests.support.sources import tree_of, walked

ROOT = Path(__file__).resolve().parents[2]
PRODUCT = (
    *("config", "infra", "ledger", "counter", "acceptance", "settlement", "audit", "cockpit", "trade"),
    *("tools/stack", "tools/embedded", "tools/paper_venue"),
)
WALL_CLOCKS = {
    ("timezone", "now"),
    ("timezone", "localdate"),
    ("timezone", "localtime"),
    ("time", "time"),
    ("time", "time_ns"),
    ("time", "gmtime"),
    ("time", "localtime"),
    ("datetime", "now"),
    ("datetime", "utcnow"),
    ("datetime", "today"),
    ("date", "today"),
    ("functions", "Now"),
}
FIELDS_OF_THEIR_OWN = {"auto_now", "auto_now_add"}
# Whose wall clock decides nothing, each with what it is for.
ALLOWED = {
    "infra/coordination/clock.py": "tells that this machine's clock is wrong",
    "infra/exchange/client.py": "where a steady clock begins, from which the venue's is measured",
    "tools/stack/lifecycle.py": "shown to people",
    "tools/stack/__main__.py": "names a backup's folder",
    "tools/paper_venue/venue.py": "the paper venue is another party, with a clock of its own",
}


def wall_clocks(source: str) -> list[int]:
    """The lines on which a module reads a wall clock, or has somebody read one."""
    lines = []
    for node in walked(tree_of(source)):
        if isinstance(node, ast.Attribute):
            owner = (
                node.value.attr if isinstance(node.value, ast.Attribute) else getattr(node.value, "id", "")
            )
            if (owner, node.attr) in WALL_CLOCKS:
                lines.append(node.lineno)
        elif isinstance(node, ast.ImportFrom):
            module = (node.module or "").rsplit(".", 1)[-1]
            lines += [node.lineno for name in node.names if (module, name.name) in WALL_CLOCKS]
        elif isinstance(node, ast.keyword) and node.arg in FIELDS_OF_THEIR_OWN:
            lines.append(node.value.lineno)
    return lines


def test_no_module_of_the_product_reads_a_wall_clock():
    found = {}
    for folder in PRODUCT:
        for path in sorted((ROOT / folder).rglob("*.py")):
            name = str(path.relative_to(ROOT))
            if lines := wall_clocks(path.read_text()):
                found[name] = lines
    assert {name: lines for name, lines in found.items() if name not in ALLOWED} == {}
    assert ALLOWED.keys() <= found.keys()  # none that is not needed any more


@pytest.mark.parametrize(
    "source",
    [
        "from django.utils import timezone\nx = timezone.now()",
        "from django.utils import timezone\ndef f(clock=timezone.now): ...",
        "import datetime\nx = datetime.datetime.now(datetime.UTC)",
        "import time\nx = time.time_ns()",
        "from time import time\nx = time()",
        "from django.db.models import functions\nx = functions.Now()",
        "from django.db.models.functions import Now",
        "at = models.DateTimeField(auto_now=True)",
    ],
)
def test_each_way_of_reading_one_is_found(source):
    assert wall_clocks(source)


def test_the_clock_and_the_monotonic_one_are_free():
    assert not wall_clocks(
        "from config import clock\nimport time\nx = clock.of('default').now(), time.monotonic()"
    )
