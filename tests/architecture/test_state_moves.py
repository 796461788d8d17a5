"""Declared, called and drawn are the same: each edge has an operation that calls it, and nothing else writes a state.

That a transition is called on a row by an operation which declares it is watched in every test (tests/support/movers).
"""

import ast
import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.apps import apps

from cockpit.management.commands.states import edges, import_operations
from infra.db.lifecycles import MOVERS, Mover, movers_of, state_fields
from tests.support.movers import UndeclaredMove, judge
from tests.support.sources import parsed, walked

ROOT = Path(__file__).resolve().parents[2]
# The paper venue, and the systems that the bench compares with, have states of their own.
PRODUCT = ("acceptance", "audit", "cockpit", "config", "counter", "infra", "ledger", "settlement", "trade")
# The base of all models that are asked for and decided, with their constraint.
MODELS_TOO = ROOT / "infra/db/decisions.py"
ELSEWHERE = {"migrations", "models", "models.py", "paper", "paper_venue", "peers"}
STATE_COLUMNS = ("state", "from_state", "to_state")
WRITES = {"create", "update", "get_or_create", "update_or_create", "bulk_create"}

import_operations()
LIFECYCLES = {model.__name__: model for model in apps.get_models() if state_fields(model)}
EDGES = [
    (model, *edge)
    for model in LIFECYCLES.values()
    for field in state_fields(model)
    for edge in edges(model, field)
]
STATES = {str(value) for model in LIFECYCLES.values() for value, _ in state_fields(model)[0].choices or ()}
TABLES = {model._meta.db_table for model in LIFECYCLES.values()}


def sources(*more: str) -> Iterator[Path]:
    for name in (*PRODUCT, *more):
        for path in sorted((ROOT / name).rglob("*.py")):
            if path != MODELS_TOO and not ELSEWHERE & set(path.relative_to(ROOT).parts):
                yield path


@pytest.mark.parametrize(
    ("model", "source", "target", "name"), EDGES, ids=lambda part: getattr(part, "__name__", part)
)
def test_each_declared_edge_has_an_operation_that_takes_it(model, source, target, name):
    assert list(movers_of(model, name, source)), (
        f"{source} to {target} is taken by nothing: delete it or declare who"
    )


@pytest.mark.parametrize(
    "mover", MOVERS, ids=lambda mover: f"{mover.operation.__qualname__}-{mover.transition.__name__}"
)
def test_each_operation_calls_what_it_declares_from_states_that_allow_it(mover: Mover):
    model = LIFECYCLES[mover.transition.__qualname__.split(".")[0]]
    allowed = {source for _, source, _, name in edges_of(model) if name == mover.transition.__name__}
    assert set(mover.sources) <= allowed
    function = inspect.unwrap(mover.operation)
    tree = ast.parse(inspect.getsource(function))
    named = {node.attr for node in walked(tree) if isinstance(node, ast.Attribute)}
    tables = [function.__globals__.get(node.id) for node in walked(tree) if isinstance(node, ast.Name)]
    in_table = any(isinstance(table, dict) and mover.transition in table.values() for table in tables)
    assert mover.transition.__name__ in named or in_table


def edges_of(model: Any) -> list[tuple[Any, str, str, str]]:
    return [edge for edge in EDGES if edge[0] is model]


def mentions(tree: ast.Module) -> Iterator[tuple[str, str]]:
    """(function, transition) where a function names a transition by its class; those named by decorators apart."""
    for function in walked(tree):
        if isinstance(function, ast.FunctionDef):
            asked = {id(part) for call in _calls(function, {"may"}) for part in ast.walk(call)}
            for node in (node for line in function.body for node in ast.walk(line)):
                if (
                    isinstance(node, ast.Attribute)
                    and isinstance(node.value, ast.Name)
                    and id(node) not in asked
                ):
                    model = LIFECYCLES.get(node.value.id)
                    if model and any(node.attr == edge[3] for edge in edges_of(model)):
                        yield function.name, f"{node.value.id}.{node.attr}"


def _calls(tree: ast.AST, names: set[str]) -> Iterator[ast.Call]:
    for node in walked(tree):
        if isinstance(node, ast.Call) and getattr(node.func, "attr", getattr(node.func, "id", "")) in names:
            yield node


def undeclared(tree: ast.Module) -> list[tuple[str, str]]:
    known = {(mover.operation.__name__, mover.transition.__qualname__) for mover in MOVERS}
    return [mention for mention in mentions(tree) if mention not in known]


def test_each_operation_that_names_a_transition_declares_it():
    found = {str(path.relative_to(ROOT)): undeclared(parsed(path)) for path in sources()}
    assert {path: names for path, names in found.items() if names} == {}


def test_an_operation_that_declares_nothing_is_found():
    planted = "def quietly(ids):\n    move(Position, Position.close, ids)\n"
    assert undeclared(ast.parse(planted)) == [("quietly", "Position.close")]


def test_a_call_that_no_operation_declares_is_found():
    namespace: dict[str, Any] = {"judge": judge, "sender": LIFECYCLES["FundsTransfer"]}
    code = "def quietly():\n    judge(sender=sender, name='confirm', source='PLANNED')\n"
    exec(compile(code, str(ROOT / "settlement" / "planted.py"), "exec"), namespace)  # noqa: S102 - it stands in no file
    with pytest.raises(UndeclaredMove, match=r"FundsTransfer\.confirm from PLANNED"):
        namespace["quietly"]()


def _is_state(node: ast.expr) -> bool:
    """Whether an expression is, or chooses, a state that is spelled out."""
    if isinstance(node, ast.Constant):
        return node.value in STATES
    if isinstance(node, ast.IfExp):
        return _is_state(node.body) or _is_state(node.orelse)
    return isinstance(node, ast.Attribute) and ast.unparse(node).split(".")[-2:-1] == ["State"]


def _is_state_name(name: str | None) -> bool:
    return name in ("state", "to_state")


def _sql(node: ast.AST) -> str:
    if isinstance(node, ast.JoinedStr):
        return "".join(str(part.value) if isinstance(part, ast.Constant) else "{}" for part in node.values)
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""


def _writes_in_sql(text: str) -> bool:
    if re.search(r"\bSET\b(?:(?!\bWHERE\b).)*(?<![.\w])\"?state\"?\s*=\s*'", text, re.DOTALL):
        return True
    inserts = re.findall(r"INSERT INTO (\w+)\s*\((.*)", text, re.DOTALL)
    return any(
        table in TABLES and any(f"'{state}'" in re.sub(r"(=|<>|IN)\s*\(?'\w+'", "", rest) for state in STATES)
        for table, rest in inserts
    )


def literal_targets(tree: ast.Module) -> list[int]:
    """The lines that write a state which they spell out."""
    found = []
    for node in walked(tree):
        if isinstance(node, ast.Assign | ast.AnnAssign | ast.AugAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            if any(getattr(target, "attr", "") == "state" for target in targets) and node.value:
                found += [node.lineno] * _is_state(node.value)
        elif isinstance(node, ast.Call):
            name = getattr(node.func, "attr", getattr(node.func, "id", ""))
            if (
                name in WRITES
                or name == "setattr"
                or (name[:1].isupper() and name not in ("Q", "F", "When", "Case"))
            ):
                pairs = [(each.arg, each.value) for each in node.keywords]
                pairs += [
                    (getattr(key, "value", None), value)
                    for each in ast.walk(node)
                    if isinstance(each, ast.Dict)
                    for key, value in zip(each.keys, each.values, strict=True)
                ]
                if name == "setattr" and len(node.args) == 3:
                    pairs.append((getattr(node.args[1], "value", None), node.args[2]))
                found += [node.lineno for key, value in pairs if _is_state_name(key) and _is_state(value)]
        elif isinstance(node, ast.expr) and _writes_in_sql(_sql(node)):
            found.append(node.lineno)
    return found


def test_no_state_is_written_as_a_literal_outside_the_models():
    found = {str(path.relative_to(ROOT)): literal_targets(parsed(path)) for path in sources("tools")}
    assert {path: lines for path, lines in found.items() if lines} == {}


@pytest.mark.parametrize(
    "planted",
    [
        "row.state = 'CLOSED'",
        "row.state = 'CLOSING' if row.unpaid else 'CLOSED'",
        "row.state = Position.State.CLOSED",
        "rows.filter(state='OPEN').update(state='CLOSED')",
        "rows.update(state=State.CLOSED)",
        "rows.update(**{'state': 'CLOSED'})",
        "Position(state='CLOSED')",
        "Position.objects.get_or_create(id=1, defaults={'state': Position.State.CLOSED})",
        "setattr(row, 'state', 'CLOSED')",
        "SQL = \"UPDATE counter_position SET remaining = 0, state = 'CLOSED' WHERE id = 1\"",
        "SQL = \"INSERT INTO counter_position (id, state) VALUES (1, 'CLOSED')\"",
        "SQL = f\"INSERT INTO acceptance_acceptedorder ({columns}, state) SELECT v.*, 'RECEIVED' FROM v\"",
    ],
)
def test_a_planted_literal_is_found(planted):
    assert literal_targets(ast.parse(planted)) == [1]


@pytest.mark.parametrize(
    "reading",
    [
        "rows.filter(state='OPEN')",
        "Q(state__in=['OPEN'])",
        "SQL = \"SELECT id FROM counter_position WHERE state = 'OPEN'\"",
        "SQL = \"UPDATE counter_position SET remaining = 0 WHERE state = 'OPEN'\"",
        "row.state == 'OPEN'",
    ],
)
def test_reading_a_state_is_no_writing(reading):
    assert literal_targets(ast.parse(reading)) == []


def literals_read(tree: ast.Module) -> list[tuple[int, str]]:
    """Where Python compares a state with one, or filters by one, that it spells out; SQL is looked at apart."""
    found = []
    for node in walked(tree):
        parts: list[ast.expr] = []
        if isinstance(node, ast.Compare):
            sides = [node.left, *node.comparators]
            if any(getattr(side, "attr", getattr(side, "id", "")) in STATE_COLUMNS for side in sides):
                parts = sides
        elif isinstance(node, ast.keyword) and (node.arg or "").rpartition("state")[1]:
            name = str(node.arg).rpartition("__")[2] if "state__" in str(node.arg) else str(node.arg)
            if name in (*STATE_COLUMNS, "in", "exact") or name.endswith("__state"):
                parts = [node.value]
        literals = [each for part in parts for each in ast.walk(part) if isinstance(each, ast.Constant)]
        found += [(each.lineno, each.value) for each in literals if each.value in STATES]
    return found


def test_no_state_is_compared_with_a_literal_outside_the_models():
    found = {str(path.relative_to(ROOT)): literals_read(parsed(path)) for path in sources()}
    assert {path: states for path, states in found.items() if states} == {}


@pytest.mark.parametrize(
    "planted",
    [
        "row.state == 'OPEN'",
        "row.state in ('OPEN', Position.State.CLOSED)",
        "rows.filter(state='OPEN')",
        "rows.filter(state__in=['OPEN'])",
        "rows.filter(order__state='SETTLED')",
    ],
)
def test_a_planted_comparison_is_found(planted):
    assert [line for line, _ in literals_read(ast.parse(planted))] == [1]


def _named_in(text: str) -> set[str]:
    """The states of the tables that a statement names; of all, if it names none."""
    named = {
        str(value)
        for model in LIFECYCLES.values()
        if re.search(rf"\b{model._meta.db_table}\b", text)
        for value, _ in state_fields(model)[0].choices or ()
    }
    return named or STATES


def compared_in_sql(text: str) -> set[str]:
    """The literals that a statement compares a column of states with."""
    if "state" not in text:
        return set()
    column = r"\b(?:\w+\.)?\"?(?:from_|to_)?state\"?"
    found = set(re.findall(rf"{column}\s*(?:=|<>|!=)\s*'(\w+)'", text))
    for several in re.findall(rf"{column}\s+(?:NOT\s+)?IN\s*\(([^()]*)\)", text):
        found |= set(re.findall(r"'(\w+)'", several))
    for cases in re.findall(rf"CASE\s+{column}\s+(WHEN\b.*)", text, re.DOTALL):
        found |= set(re.findall(r"WHEN\s+'([A-Z_]+)'", cases))
    return found


def undeclared_sources(tree: ast.Module) -> set[str]:
    """Literals that SQL compares a state with, and that no table of the statement has for one."""
    texts = [_sql(node) for node in walked(tree)]
    compared = [(text, found) for text in texts if (found := compared_in_sql(text))]
    return {state for text, found in compared for state in found - _named_in(text)}


def test_each_state_that_sql_asks_for_is_one_of_its_tables():
    found = {str(path.relative_to(ROOT)): undeclared_sources(parsed(path)) for path in sources("tools")}
    assert {path: states for path, states in found.items() if states} == {}
    assert sum(len(compared_in_sql(_sql(n))) for p in sources() for n in walked(parsed(p))) > 100


@pytest.mark.parametrize(
    "planted",
    [
        "SQL = \"SELECT FROM counter_position WHERE state = 'OPENED'\"",
        "SQL = \"SELECT FROM counter_position AS p WHERE p.state IN ('OPEN', 'MISSED')\"",  # of another table
        "SQL = \"SELECT CASE state WHEN 'OPEN' THEN 1 WHEN 'ENDED' THEN 2 END FROM counter_position\"",
        "SQL = f\"SELECT FROM {table} WHERE to_state <> 'GONE'\"",
    ],
)
def test_a_state_that_no_table_of_a_statement_has_is_found(planted):
    assert len(undeclared_sources(ast.parse(planted))) == 1
