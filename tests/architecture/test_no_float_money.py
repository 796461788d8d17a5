"""No float on the way of money: float stands only for time and odds, and inside the volatility model."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.sources import tree_of

ROOT = Path(__file__).resolve().parents[2]
MONEY = ("ledger", "counter", "acceptance", "settlement", "trade", "tools/paper_venue")
# The implied-volatility model works in float, behind one documented border.
MODEL = re.compile(
    r"counter/(pricing/(average_option|black76|book_risk|greeks)|market/(book|model_quotes|outlook|quote_greeks|volatility\w*))\.py"
)
# Orders a second and parts of them: what is admitted, never what it costs.
RATES = re.compile(r"counter/(trading/back_pressure|orders/throttle)\.py")
# What a float may be called: a duration, a moment of the monotonic clock, odds.
MEASURES = re.compile(
    r"(^|_)(seconds|every|timeout|after|at|since|until|arrived|ms|probability)(_|$)", re.IGNORECASE
)
TIMERS = {"sleep", "wait", "flush"}
NAMES_OF_MEASURES = {
    "age_s",  # seconds
    "_tops",  # (time of reading, price) by coin
    "asked_for",  # the pause that a venue asked for, in seconds
    "JITTER_RATE",  # part of a pause
}


def _names(node: ast.AST) -> Iterator[str]:
    """Names that say what the values directly inside `node` are."""
    if isinstance(node, ast.Assign):
        for target in node.targets:
            yield from (part.id for part in ast.walk(target) if isinstance(part, ast.Name))
            yield from (part.attr for part in ast.walk(target) if isinstance(part, ast.Attribute))
    elif isinstance(node, ast.AnnAssign | ast.AugAssign):
        target = node.target
        yield target.id if isinstance(target, ast.Name) else getattr(target, "attr", "")
    elif isinstance(node, ast.keyword | ast.arg):
        yield node.arg or ""
    elif isinstance(node, ast.Call):
        yield getattr(node.func, "attr", getattr(node.func, "id", ""))
        yield from (each.attr for each in node.args if isinstance(each, ast.Attribute))
    elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        yield node.name


def _is_measure(names: Iterator[str]) -> bool:
    return any(MEASURES.search(name) or name in TIMERS or name in NAMES_OF_MEASURES for name in names)


def _floats(node: ast.AST, *, allowed: bool = False, returned: bool = False) -> Iterator[int]:
    """Lines of `node` with a float literal or the name `float` that nothing around it calls a measure."""
    if not allowed and (
        (isinstance(node, ast.Constant) and isinstance(node.value, float))
        or (isinstance(node, ast.Name) and node.id == "float")
    ):
        yield node.lineno
    for child in ast.iter_child_nodes(node):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            # A function's name speaks for what it returns, not for all that it does.
            measure = _is_measure(_names(node))
            yield from _floats(child, allowed=measure and child is node.returns, returned=measure)
        else:
            inside = allowed or _is_measure(_names(node)) or (returned and isinstance(node, ast.Return))
            yield from _floats(child, allowed=inside, returned=returned)


def _offences(source: str, name: str) -> list[str]:
    lines = source.splitlines()
    return [f"{name}:{line}: {lines[line - 1].strip()}" for line in sorted(set(_floats(tree_of(source))))]


def test_money_modules_hold_no_float():
    files = [file for app in MONEY for file in sorted((ROOT / app).rglob("*.py"))]
    assert len(files) > 50
    offences = []
    for file in files:
        name = file.relative_to(ROOT).as_posix()
        if not MODEL.fullmatch(name) and not RATES.fullmatch(name):
            offences += _offences(file.read_text(), name)
    assert not offences, "\n".join(["a float where money may pass:", *offences])


@pytest.mark.parametrize(
    "line",
    [
        "price = 1.5",
        "cost = float(text)",
        "def cost(amount: float): ...",
        "post(amount=0.1)",
        "fee: float = 0",
    ],
)
def test_a_planted_float_is_named_with_its_line(line):
    assert _offences(f"import decimal\n{line}\n", "planted.py") == [f"planted.py:2: {line}"]


@pytest.mark.parametrize(
    "line", ["STALL_AFTER_SECONDS = 1.5", "time.sleep(0.1)", "def wait(timeout: float): ..."]
)
def test_a_measure_may_be_float(line):
    assert _offences(line, "planted.py") == []
