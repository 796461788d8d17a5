"""No rounding by the thread's decimal context: every rounding is named, and quotients are made in a context of our own.

What was called before in a thread decides how an unnamed rounding goes: ccxt's number formatting leaves ROUND_HALF_UP.
"""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.sources import tree_of

ROOT = Path(__file__).resolve().parents[2]
PRODUCT = (
    *("config", "infra", "ledger", "counter", "acceptance", "settlement", "audit", "cockpit", "trade"),
    *("tools/stack", "tools/embedded", "tools/paper_venue"),
)
# Where a quotient is no Decimal, though the file knows Decimal.
NO_DECIMAL_QUOTIENT = {
    "config/settings/places.py": "paths",
    "counter/expiring/index_average.py": "fractions, exact",
    "counter/pricing/black76.py": "the volatility model: float",
    "counter/market/model_quotes.py": "the volatility model: float",
    "counter/market/outlook.py": "the volatility model: float",
    "counter/market/book.py": "measures of risk: float",
    "counter/market/volatility.py": "the volatility model: float",
    "counter/market/listing.py": "fractions, exact",
    "cockpit/charts.py": "pixels, and fractions",
    "cockpit/numbers.py": "durations",
    "cockpit/risk_page.py": "measures of risk: float",
    "cockpit/snapshot.py": "steps a minute",
    "ledger/decimals.py": "fractions, exact",
    "settlement/venues/ccxt_venue.py": "seconds",
}
# The simulated venue is a process of its own, in which nobody changes the context; its roundings are named too.
SIMULATOR = "tools/paper_venue/"
NAMED = {  # what rounds by the context unless it is told how: the place of the rounding among the arguments
    "quantize": 1,
    "to_integral_value": 0,
    "to_integral_exact": 0,
    "to_integral": 0,
}
BY_CONTEXT = {"sqrt", "ln", "log10", "exp"}


def _is_ours(node: ast.AST) -> bool:
    """Whether a function or a block calculates in `ledger.decimals.calculating`."""
    if isinstance(node, ast.FunctionDef):
        return any(ast.unparse(each) == "calculating()" for each in node.decorator_list)
    return isinstance(node, ast.With) and any(
        ast.unparse(each.context_expr) == "calculating()" for each in node.items
    )


def _is_unnamed(call: ast.Call, *, divides: bool) -> bool:
    name = getattr(call.func, "attr", getattr(call.func, "id", ""))
    if name == "round":
        return len(call.args) + len(call.keywords) == 2
    if not isinstance(call.func, ast.Attribute):
        return False
    owner = ast.unparse(call.func.value)
    if owner == "math" or owner.isupper():  # a context's method: that of EXACT, say
        return False
    if name in NAMED:
        given = {each.arg for each in call.keywords}
        return len(call.args) <= NAMED[name] and not given & {"rounding", "context"}
    return name in BY_CONTEXT and not call.args and not divides


def _offences(node: ast.AST, *, divides: bool) -> Iterator[int]:
    """Lines that round by the context; `divides` where a quotient may stand."""
    divides = divides or _is_ours(node)
    if isinstance(node, ast.Call) and _is_unnamed(node, divides=divides):
        yield node.lineno
    if isinstance(node, ast.BinOp | ast.AugAssign) and isinstance(node.op, ast.Div) and not divides:
        yield node.lineno
    for child in ast.iter_child_nodes(node):
        yield from _offences(child, divides=divides)


def _found(source: str, name: str) -> list[str]:
    if "Decimal" not in source:
        return []
    lines = source.splitlines()
    divides = name in NO_DECIMAL_QUOTIENT or name.startswith(SIMULATOR)
    found = sorted(set(_offences(tree_of(source), divides=divides)))
    return [
        f"{name}:{line}: {lines[line - 1].strip()}" for line in found if not _is_of_a_measure(lines, line)
    ]


def _is_of_a_measure(lines: list[str], line: int) -> bool:
    """`round(x, n)` of seconds and percents: floats."""
    text = lines[line - 1]
    return "round(" in text and any(word in text for word in ("seconds", "age_s", "_ms", "float("))


def test_every_rounding_of_the_product_is_named():
    files = [file for app in PRODUCT for file in sorted((ROOT / app).rglob("*.py"))]
    assert len(files) > 100
    offences = [
        each for file in files for each in _found(file.read_text(), file.relative_to(ROOT).as_posix())
    ]
    assert not offences, "\n".join(["rounded by the context that was left behind:", *offences])


def test_what_is_excused_is_there():
    assert [name for name in NO_DECIMAL_QUOTIENT if not (ROOT / name).is_file()] == []


@pytest.mark.parametrize(
    "line",
    [
        "price.quantize(UNIT)",
        "price.quantize(exp=UNIT)",
        "mid = (bid + ask) / 2",
        "price /= 3",
        "price.to_integral_value()",
        "round(price, 2)",
        "round(price, ndigits=2)",
        "variance.sqrt()",
    ],
)
def test_a_planted_rounding_is_named_with_its_line(line):
    assert _found(f"from decimal import Decimal\n{line}\n", "planted.py") == [f"planted.py:2: {line}"]


@pytest.mark.parametrize(
    "line",
    [
        "price.quantize(UNIT, ROUND_DOWN)",
        "price.quantize(UNIT, rounding=ROUND_DOWN)",
        "price.to_integral_value(ROUND_UP)",
        "EXACT.to_integral_exact(price)",
        "round(Fraction(price))",
        "run.seconds = Decimal(round(seconds, 3))",
        "math.sqrt(x)",
        "with calculating():\n    price / 3",
        "@calculating()\ndef each(price): return price / 3",
    ],
)
def test_a_named_rounding_passes(line):
    assert _found(f"from decimal import Decimal\n{line}\n", "planted.py") == []
