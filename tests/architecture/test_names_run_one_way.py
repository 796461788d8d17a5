"""No app names a task, a table or a module of an app above it in a text, which the import walls cannot see."""

import ast
import re
from pathlib import Path

import pytest

from tests.support.sources import tree_of, walked

ROOT = Path(__file__).resolve().parents[2]
# From the ground up; those in one row know nothing of each other.
FLOORS = [
    ("infra",),
    ("ledger",),
    ("counter",),
    ("acceptance",),
    ("settlement",),
    ("audit",),
    ("cockpit", "trade"),
]
ALLOWED = {
    ("infra/tasks.py", "config.canary"),  # infra's own label
}


def names_above(source: str, above: set[str]) -> set[str]:
    """The texts of a module that begin with the name of an app above it and a dot."""
    start = re.compile(rf"({'|'.join(sorted(above))})(\.[a-z_]\w*)+")
    return {
        node.value
        for node in walked(tree_of(source))
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and start.fullmatch(node.value)
    }


def test_texts_name_nothing_above():
    found = set()
    for number, floor in enumerate(FLOORS):
        above = {app for upper in FLOORS[number + 1 :] for app in upper} | {"config", "tools"}
        for app in floor:
            for path in sorted((ROOT / app).rglob("*.py")):
                if "migrations" not in path.parts:
                    name = str(path.relative_to(ROOT))
                    found |= {(name, text) for text in names_above(path.read_text(), above)}
    assert found == ALLOWED


@pytest.mark.parametrize(
    ("source", "seen"),
    [
        ('send("settlement.convert")', {"settlement.convert"}),
        ('"""settlement.convert is called here."""', set()),
        ('send("counter.expire")', set()),
    ],
)
def test_a_name_is_seen(source, seen):
    assert names_above(source, {"settlement"}) == seen
