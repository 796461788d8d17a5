"""Public clients that know nothing of this venue trade on it with only their base URL changed."""

import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import sys
import uuid
from decimal import Decimal
from pathlib import Path

import pytest

from tests.support.paper_process import KEY, ROOT, SECRET

CLIENTS = ROOT / "tests" / "clients"
CACHE = ROOT / "var" / "clients"
UNREACHABLE = ("ENOTFOUND", "EAI_AGAIN", "ECONNREFUSED", "ECONNRESET", "ETIMEDOUT", "ENETUNREACH", "network")
TRANSFERRED_USDT = Decimal("12.5")
INSTALL_SECONDS, SESSION_SECONDS = 300, 60


def installed(name: str, *files: str, command: list[str]) -> Path:
    """A folder under var/clients in which ``command`` ran once for this content of ``files``."""
    digest = hashlib.sha256(sys.version.encode())
    for file in files:
        digest.update((CLIENTS / file).read_bytes())
    folder = CACHE / f"{name}-{digest.hexdigest()[:12]}"
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "installed").exists():
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            for file in files:
                shutil.copy(CLIENTS / file, folder)
            result = subprocess.run(
                command, cwd=folder, capture_output=True, text=True, timeout=INSTALL_SECONDS, check=False
            )
            if result.returncode:
                raise InstallationFailed(result.stdout[-1000:] + result.stderr[-3000:])
            (folder / "installed").touch()
    return folder


class InstallationFailed(Exception):
    """The package manager's last words."""


def python_packages(lock: str) -> Path:
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    return installed(
        lock.removesuffix(".lock"),
        lock,
        command=[*pip, "--require-hashes", "--no-deps", "--target", ".", "-r", lock],
    )


def node_packages() -> Path:
    """Skips, with the reason, where npm or its registry is out of reach."""
    npm = shutil.which("npm")
    if npm is None or shutil.which("node") is None:
        pytest.skip("npm and node are not on this machine: JavaScript clients NOT tested")
    try:
        return installed(
            "node",
            "package.json",
            "package-lock.json",
            ".npmrc",
            command=[npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund"],
        )
    except (InstallationFailed, subprocess.TimeoutExpired) as error:
        if isinstance(error, InstallationFailed) and not any(word in str(error) for word in UNREACHABLE):
            raise
        pytest.skip(f"the npm registry is out of reach: JavaScript clients NOT tested ({error})")


def played(command: list[str], *, environment: dict[str, str] | None = None):
    result = subprocess.run(
        command,
        env={**os.environ, **(environment or {})},
        capture_output=True,
        text=True,
        timeout=SESSION_SECONDS,
        check=False,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    return json.loads(result.stdout.strip().splitlines()[-1])


def python_session(script: str, lock: str | None):
    def play(*arguments: str):
        packages = {} if lock is None else {"PYTHONPATH": str(python_packages(lock))}
        return played([sys.executable, str(CLIENTS / script), *arguments], environment=packages)

    return play


def node_session(script: str):
    def play(*arguments: str):
        folder = node_packages()
        # A module finds its packages beside itself, so the session has to lie among them.
        shutil.copy(CLIENTS / script, folder)
        return played(["node", str(folder / script), *arguments])

    return play


SESSIONS = {
    "ccxt": python_session("ccxt_session.py", None),
    "python-binance": python_session("python_binance_session.py", "requirements.lock"),
    "binance-sdk-spot": python_session("binance_sdk_spot_session.py", "requirements.lock"),
    # binance-connector and python-binance both install a package named binance, so they live apart.
    "binance-connector": python_session("binance_connector_session.py", "connector.lock"),
    "npm-ccxt": node_session("ccxt_session.mjs"),
    "npm-binance": node_session("binance_session.mjs"),
    "npm-binance-spot": node_session("binance_spot_session.mjs"),
}


@pytest.mark.parametrize("name", SESSIONS)
def test_an_unmodified_client_trades_finds_and_lists(venue, name):
    prefix = f"{name[:16]}-{uuid.uuid4().hex[:8]}"
    seen = SESSIONS[name](venue.url, KEY, SECRET, prefix)
    limit, market = f"{prefix}-limit", f"{prefix}-market"
    assert (seen["limit"]["clientOrderId"], seen["limit"]["status"]) == (limit, "FILLED")
    assert (seen["market"]["clientOrderId"], seen["market"]["status"]) == (market, "FILLED")
    assert Decimal(seen["market"]["executedQty"]) == Decimal("0.005")
    assert seen["found"]["orderId"] == seen["limit"]["orderId"]
    assert [order for order in seen["orders"] if order.startswith(prefix)] == [limit, market]
    assert set(seen["trades"]) == {str(seen["limit"]["orderId"])}
    spot = venue.state()["accounts"]["paper"]["spot"]
    held = {asset: Decimal(balance["free"]) for asset, balance in spot.items()}
    if "transfers" in seen:
        held["USDT"] -= TRANSFERRED_USDT  # moved in after the client had looked
    assert {asset: Decimal(amount) for asset, amount in seen["balances"].items()} == held
    assert "NOTIONAL" in seen["error"]
    if "transfers" in seen:
        assert TRANSFERRED_USDT in [Decimal(amount) for amount in seen["transfers"]]
        assert Decimal(seen["funding"]["USDT"]) > 0
    executed = [order["clientOrderId"] for order in venue.state()["orders"]]
    assert executed.count(limit) == executed.count(market) == 1
