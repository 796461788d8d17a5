"""Both books are written by `ledger.posting` and by the one statement of counter's batches, and nowhere else."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.apps import apps

from ledger.models import Transfer
from tests.support.sources import parsed, walked

ROOT = Path(__file__).resolve().parents[2]
# The bench writes a past that nobody lived; the demo and chaos write none.
PRODUCT = (
    *("config", "infra", "ledger", "counter", "acceptance", "settlement", "audit", "cockpit", "trade"),
    *("tools/demo", "tools/chaos", "tools/stack"),
)
BOOKS = {model.__name__: model._meta.db_table for model in apps.get_models() if issubclass(model, Transfer)}
# By their SQL; the table's name is composed in one place, which `ledger.posting` goes through.
STATEMENTS = {"counter/orders/writing.py": BOOKS["Transfer"], "infra/db/rows.py": "a composed name"}
# Where legs are made, to be posted by `ledger.posting`.
MAKERS = {"counter/money/cash.py", "settlement/book/legs.py"}
WRITES = r"(?:insert\s+into|merge\s+into|update|delete\s+from|truncate(?:\s+table)?|copy)\s+(?:only\s+)?"
MANAGED = {"create", "bulk_create", "get_or_create", "update_or_create", "bulk_update", "update", "delete"}
INSERTED = {"insert", "inserting", "bulk_create"}


def statements(tree: ast.AST) -> Iterator[str]:
    """The tables of both books that the texts of a module write, and names that a text leaves to be composed."""
    inside = {id(part) for node in walked(tree) if isinstance(node, ast.JoinedStr) for part in node.values}
    for node in walked(tree):
        if isinstance(node, ast.JoinedStr):
            parts = (str(part.value) if isinstance(part, ast.Constant) else "\0" for part in node.values)
            text = "".join(parts)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in inside:
            text = node.value
        else:
            continue
        for name in re.findall(rf'{WRITES}"?(\w+|\0)', text, re.IGNORECASE):
            if name in BOOKS.values():
                yield name
        if re.search(r"insert\s+into\s+\0", text, re.IGNORECASE):
            yield "a composed name"


def stored(tree: ast.AST) -> Iterator[str]:
    """Calls by which a module writes rows of the books through their models."""
    rows = {
        target.id
        for node in walked(tree)
        if isinstance(node, ast.Assign) and makes_legs(node.value)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    for node in walked(tree):
        if not isinstance(node, ast.Call):
            continue
        name = _name(node.func)
        if name in MANAGED and any(re.match(rf"{book}\b(?!\()", _owner(node.func)) for book in BOOKS):
            yield ast.unparse(node.func)
        if name == "save" and (_owner(node.func) in rows or makes_legs(node.func)):
            yield ast.unparse(node.func)
        if name in INSERTED and makes_legs(tree):
            yield f"{name} where legs are made"


def _owner(function: ast.expr) -> str:
    return ast.unparse(getattr(function, "value", function))


def makes_legs(tree: ast.AST) -> bool:
    return any(isinstance(node, ast.Call) and _name(node.func) in BOOKS for node in walked(tree))


def _name(function: ast.expr) -> str:
    return getattr(function, "attr", getattr(function, "id", ""))


def sources() -> Iterator[tuple[str, ast.Module]]:
    for folder in PRODUCT:
        for path in sorted((ROOT / folder).rglob("*.py")):
            if "migrations" not in path.parts:
                yield path.relative_to(ROOT).as_posix(), parsed(path)


def test_both_books_are_known():
    assert BOOKS == {"Transfer": "counter_transfer", "DeskTransfer": "settlement_desktransfer"}


def test_a_book_is_written_where_it_is_said_to_be():
    found = list(sources())
    assert {path: name for path, tree in found for name in statements(tree)} == STATEMENTS
    assert {path: rows for path, tree in found if (rows := [*stored(tree)])} == {}
    assert {path for path, tree in found if makes_legs(tree)} == MAKERS


@pytest.mark.parametrize(
    "planted",
    [
        'SQL = """\n  INSERT INTO counter_transfer (amount) VALUES (1)"""',
        'SQL = f"insert into settlement_desktransfer ({fields}) select 1"',
        'SQL = "UPDATE counter_transfer SET amount = 2"',
        'SQL = "DELETE FROM ONLY counter_transfer"',
        'SQL = f"INSERT INTO {Transfer._meta.db_table} (amount) VALUES (1)"',
        'cursor.copy("COPY counter_transfer FROM STDIN")',
    ],
)
def test_a_statement_of_another_module_is_found(planted):
    assert [*statements(ast.parse(planted))]


@pytest.mark.parametrize(
    "planted",
    [
        "Transfer.objects.create(amount=1)",
        "DeskTransfer.objects.using('desk').bulk_create(rows)",
        "Transfer.objects.filter(pk=1).update(amount=2)",
        "row = Transfer(amount=1)\nrow.save()",
        "insert([models.DeskTransfer(amount=1)])",
    ],
)
def test_a_row_that_is_stored_past_the_ledger_is_found(planted):
    assert [*stored(ast.parse(planted))]


def test_reading_a_book_is_no_writing():
    reading = "SQL = 'SELECT * FROM counter_transfer'\nTransfer.objects.filter(order_id=1).values_list('pk')"
    assert not [*statements(ast.parse(reading)), *stored(ast.parse(reading))]
