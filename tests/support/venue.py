"""The paper venue as a process of its own, and its control endpoints."""

import itertools
import json
import os
import subprocess
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any, Self

import requests

from tests.support import ending
from tools.embedded import processes

ROOT = Path(__file__).resolve().parents[2]
ACCOUNTS = 1000
PLENTY = "1000000000"  # limits that no test meets unless it wants to


class PaperVenue:
    """A running `python -m tools.paper_venue` on a free port; prices stand still unless a test moves them."""

    def __init__(self, process: subprocess.Popen[str], url: str) -> None:
        self.process = process
        self.url = url
        self._session = requests.Session()
        self._session.trust_env = False
        self._accounts = itertools.count(1)
        self._may_have_faults = False
        self._pinned: set[str] = set()

    @classmethod
    def start(cls, *arguments: str) -> Self:
        """Start it and wait until it takes requests; `arguments` are added to its command line."""
        var_dir, worker = Path(os.environ["VAR_DIR"]), os.environ.get("PYTEST_XDIST_WORKER", "main")
        name = f"venue-{worker}-{os.urandom(4).hex()}"
        module = ["tools.paper_venue", "--port", "0", "--volatility", "0", "--jumps-per-hour", "0"]
        for limit in (
            "--weight-per-minute",
            "--sapi-weight-per-minute",
            "--orders-per-10s",
            "--orders-per-day",
        ):
            module += [limit, PLENTY]
        for number in range(1, ACCOUNTS + 1):
            module += ["--account", f"test{number}:key{number}:secret{number}"]
        # Launched like a program of the stack: it ends with this process, or with the session's remains.
        launched = [sys.executable, "-m", "tools.stack.launch", name, "SIGTERM", "--"]
        with (var_dir / f"{name}.log").open("w") as log:
            process = subprocess.Popen(
                [*launched, sys.executable, "-m", *module, *arguments],
                cwd=ROOT,
                env={**os.environ, **processes.mark(var_dir=var_dir, program=name)},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
        assert process.stdout is not None
        line = process.stdout.readline()
        if not line:
            ending.kill(process)
            process.stdout.close()
            raise AssertionError((var_dir / f"{name}.log").read_text()[-2000:])
        return cls(process, json.loads(line)["url"])

    def stop(self) -> None:
        """End the process."""
        self._session.close()
        assert self.process.stdout is not None
        with self.process.stdout:
            ending.end(self.process)

    def next_account(self) -> tuple[str, str, str]:
        """Name, key and secret of an account that nobody has used, with the venue's default funds."""
        number = next(self._accounts)
        assert number <= ACCOUNTS, "raise ACCOUNTS"
        return f"test{number}", f"key{number}", f"secret{number}"

    def add_fault(self, kind: str, **details: Any) -> dict[str, Any]:
        """A fault of docs/paper-venue-control.md, such as `add_fault("reply_lost", path="/api/v3/order", count=1)`."""
        self._may_have_faults = True
        return self._call("POST", "faults", {"kind": kind, **details})

    def faults(self) -> list[dict[str, Any]]:
        """The faults that are on, with how often each was seen and has struck."""
        return self._call("GET", "faults")

    def clear_faults(self) -> None:
        """Switch all faults off."""
        self._call("DELETE", "faults")
        self._may_have_faults = False

    def set_price(self, symbol: str, price: str | Decimal | None) -> None:
        """Pin the price of e.g. BTCUSDT; None lets it go."""
        self._pinned.add(symbol)
        self._call("POST", "price", {"symbol": symbol, "price": None if price is None else str(price)})
        if price is None:
            self._pinned.discard(symbol)

    def calm(self) -> None:
        """End the faults and the pinned prices of a test; most had none, and nothing is asked for them."""
        if self._may_have_faults:
            self.clear_faults()
        for symbol in sorted(self._pinned):
            self.set_price(symbol, None)

    def fund(self, *, account: str, asset: str, amount: str | Decimal, wallet: str = "SPOT") -> None:
        """Money from outside into one wallet (SPOT or FUNDING)."""
        self._call(
            "POST", "fund", {"account": account, "wallet": wallet, "asset": asset, "amount": str(amount)}
        )

    def state(self, account: str | None = None) -> dict[str, Any]:
        """What happened at the venue, or to one account, with what a fault hides from ordinary reads."""
        return self._call("GET", "state" if account is None else f"state?account={account}")

    def offers_both_sides(self) -> bool:
        """Whether every book has a bid and an ask; also while a fault strikes the reading of them."""
        answer = self._session.get(f"{self.url}/api/v3/ticker/bookTicker", timeout=10)
        if not answer.ok or not isinstance(answer.json(), list):
            return True
        return all(Decimal(book[side]) > 0 for book in answer.json() for side in ("bidPrice", "askPrice"))

    def _call(self, method: str, path: str, body: Any = None) -> Any:
        answer = self._session.request(method, f"{self.url}/paper/{path}", json=body, timeout=10)
        assert answer.ok, answer.text
        return answer.json()
