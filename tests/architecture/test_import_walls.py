"""The walls of the design stand, and lint-imports sees who breaks one."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = (
    *("config", "ledger", "counter", "acceptance", "settlement", "audit"),
    *("cockpit", "trade", "demo", "chaos"),
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


@pytest.mark.parametrize(
    ("module", "line", "contract"),
    [
        ("counter/chart.py", "import settlement.models", "Imports run one way"),
        ("settlement/netting.py", "import counter.models", "knows nothing of the counter but its contracts"),
        ("trade/book.py", "import settlement.models", "The trade page knows counter only"),
        ("ledger/posting.py", "import config.settings", "take nothing from config but its helpers"),
        ("counter/pricing.py", "import django.db", "Pure modules know no ORM"),
        ("counter/models/orders.py", "import counter.ordering.outbox", "counter: doors, operations, models"),
    ],
)
def test_a_planted_violation_is_seen(copy, module, line, contract):
    with (copy / module).open("a") as file:
        file.write(f"\n{line}\n")
    done = _lint(copy)
    broken = [
        each for each in done.stdout.splitlines() if each.rstrip().split("(")[0].rstrip().endswith("BROKEN")
    ]
    assert done.returncode == 1, done.stdout + done.stderr
    assert any(contract in each for each in broken), done.stdout
