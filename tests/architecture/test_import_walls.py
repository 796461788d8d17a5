"""The walls of the design stand, and lint-imports sees who breaks one."""

import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = (
    *("config", "infra", "tools", "ledger", "counter", "acceptance", "settlement"),
    *("audit", "cockpit", "trade"),
)
LINT_IMPORTS = Path(sys.executable).with_name("lint-imports")


@pytest.fixture
def copy(tmp_path):
    for package in PACKAGES:
        shutil.copytree(ROOT / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


def _lint(folder: Path) -> subprocess.CompletedProcess[str]:
    command = [str(LINT_IMPORTS), "--no-logo", "--no-cache"]
    environment = {**os.environ, "PYTHONPATH": str(folder)}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=120)


def test_the_walls_stand(copy):
    done = _lint(copy)
    assert done.returncode == 0, done.stdout + done.stderr


def test_each_room_that_a_contract_names_is_there():
    """One that was renamed would be without a wall, and lint-imports says nothing of it."""
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    named = {
        ".".join(part for part in (container, room.strip("() ")) if part)
        for contract in contracts
        for container in contract.get("containers", [""])
        for layer in contract.get("layers", [])
        for room in re.split("[:|]", layer)
    }
    named |= {room for contract in contracts for room in contract.get("source_modules", [])}
    paths = [(room, ROOT / room.replace(".", "/")) for room in named if "*" not in room]
    assert not [room for room, path in paths if not (path.is_dir() or path.with_suffix(".py").exists())]


PLANTED = [
    ("counter/money/chart.py", "import settlement.models", "Imports run one way"),
    (
        "settlement/netting/net.py",
        "import counter.models",
        "knows nothing of the counter but its contracts",
    ),
    ("trade/book.py", "import settlement.models", "The trade page knows counter only"),
    ("ledger/posting.py", "import config.settings", "Three layers"),
    ("config/router.py", "import tools.embedded.keys", "Three layers"),
    ("counter/pricing/formulas.py", "import tools.load.mix", "Three layers"),
    ("infra/db/rows.py", "import ledger.models", "Three layers"),
    ("infra/db/arrays.py", "import infra.coordination.clock", "infra: pages and broker"),
    ("tools/embedded/keys.py", "import tools.stack.programs", "tools: what measures and breaks"),
    (
        "settlement/funds/treasury.py",
        "import settlement.conversions.sweep",
        "settlement: doors, operations",
    ),
    ("counter/pricing/formulas.py", "import django.db", "Pure modules know no ORM"),
    ("counter/models/orders.py", "import counter.orders.outbox", "counter: doors, operations, models"),
]


def test_planted_violations_are_seen(copy):
    """All at once: to read the code takes longer than to judge it."""
    for module, line, _ in PLANTED:
        with (copy / module).open("a") as file:
            file.write(f"\n{line}\n")
    done = _lint(copy)
    assert done.returncode == 1, done.stdout + done.stderr
    verdicts, details = done.stdout.split("Broken contracts")
    broken = [
        each for each in verdicts.splitlines() if each.rstrip().split("(")[0].rstrip().endswith("BROKEN")
    ]
    for module, line, contract in PLANTED:
        assert any(contract in each for each in broken), (contract, done.stdout)
        importer, imported = module.removesuffix(".py").replace("/", "."), line.removeprefix("import ")
        told = (
            "django" if imported.startswith("django") else imported
        )  # of others' packages the first name is told
        assert f" {importer} -> {told} (l." in details, details
