"""What clients and operators do: load on a fixed schedule, the proof afterwards, and the demo.

`python -m tools.cluster.driver load URL RUN SECONDS PER_S SEED FILE`, `... prove FILE`, `... count MOMENT` and
`... demo URL REPORT`, in the environment of the programs; URL is the customers' door.
"""

import json
import random
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import requests

CUSTOMERS = 8
THREADS = 1600  # open loop: an order is sent when it is due, also while those before wait
TRY_WITHIN_SECONDS = 3.0
RETRY_AFTER_SECONDS, RETRY_AFTER_AT_MOST_SECONDS = 0.25, 4.0  # doubled with each try
GIVEN_UP_AFTER_SECONDS = 90.0
SETTLED_WITHIN_SECONDS = 120.0
MAX_COST_USDT = (
    "100000"  # programs name a bound (docs/api-rules.md); at any price here: the market is not what is tried
)
ORDERS = "SELECT client_order_id, id FROM counter_syncorder WHERE client_order_id LIKE %s"
SINCE = "SELECT count(*) FROM counter_syncorder WHERE placed_at > %s"
AT_THE_DESK = "SELECT order_id FROM acceptance_acceptedorder WHERE order_id = ANY(%s)"


class Sender:
    """Sends each order when it is due, and again under its id until it has an answer that is right and final."""

    def __init__(self, url: str, tokens: list[str], symbols: list[str], seed: int) -> None:
        self._url = f"{url}/api/v1/orders"
        self._chance = random.Random(seed)
        self._tokens, self._symbols = tokens, symbols
        self._local = threading.local()

    def order(self, name: str) -> dict[str, Any]:
        return {
            "name": name,
            "token": self._chance.choice(self._tokens),
            "symbol": self._chance.choice(self._symbols),
        }

    def send(self, order: dict[str, Any], due: float) -> dict[str, Any]:
        """What became of it: times are seconds from when it was due."""
        tries: list[tuple[float, str]] = []
        while True:
            status, code, order_id, final = self._try(order)
            tries.append((round(time.monotonic() - due, 3), code or str(status)))
            if final or time.monotonic() - due > GIVEN_UP_AFTER_SECONDS:
                outcome = "ok" if status == 201 else "fail" if final else "unknown"
                return {"name": order["name"], "due": due, "tries": tries, "outcome": outcome, "id": order_id}
            time.sleep(min(RETRY_AFTER_SECONDS * 2 ** (len(tries) - 1), RETRY_AFTER_AT_MOST_SECONDS))

    def _try(self, order: dict[str, Any]) -> tuple[int, str, str | None, bool]:
        """Status, code, the order's id, and whether that is the last word."""
        body = {
            "type": "open",
            "client_order_id": order["name"],
            "symbol": order["symbol"],
            "contracts": 1,
            "max_cost": MAX_COST_USDT,
        }
        try:
            answer = self._session().post(
                self._url,
                json=body,
                headers={"Authorization": f"Token {order['token']}"},
                timeout=TRY_WITHIN_SECONDS,
            )
            told = answer.json()
        except (requests.RequestException, ValueError) as error:
            return 0, type(error).__name__, None, False
        if answer.status_code == 201:
            return 201, "", told["id"], True
        problem = told.get("error", {})
        return answer.status_code, problem.get("code", ""), None, bool(problem.get("final"))

    def _session(self) -> requests.Session:
        if not hasattr(self._local, "session"):
            self._local.session = requests.Session()
            self._local.session.trust_env = False
        return self._local.session


def stop_file(file: Path) -> Path:
    """What ends a load that writes into `file` before its time."""
    return file.with_suffix(".stop")


def load(url: str, run: str, seconds: float, per_s: float, seed: int, file: Path) -> None:
    """Send for so long at most, and write what became of each into a file."""
    from tools.cluster.trading import ready

    tokens, symbols = ready(run, CUSTOMERS)
    sender = Sender(url, tokens, symbols, seed)
    heard: list[dict[str, Any]] = []
    with ThreadPoolExecutor(THREADS) as pool:
        began_at = time.monotonic() + 0.5
        print(json.dumps({"began_at": began_at}), flush=True)  # noqa: T201 - read by the parent
        sent = []
        for number in range(int(seconds * per_s)):
            if stop_file(file).exists():
                break
            due = began_at + number / per_s
            time.sleep(max(0.0, due - time.monotonic()))
            sent.append(pool.submit(sender.send, sender.order(f"{run}-{number}"), due))
        heard = [each.result() for each in sent]
    file.write_text(json.dumps(heard))


def prove(file: Path) -> None:
    """Hold what customers were told against both databases, and audit them."""
    from tools.cluster.trading import audited, placed_row, rows, settled

    heard = json.loads(file.read_text())
    prefix = heard[0]["name"].rpartition("-")[0]
    is_settled = settled(within_seconds=SETTLED_WITHIN_SECONDS)
    stored: dict[str, list[int]] = {}
    for name, order_id in rows("default", ORDERS, [f"{prefix}-%"]):
        stored.setdefault(name, []).append(order_id)
    acknowledged = [each for each in heard if each["outcome"] == "ok"]
    told = {each["name"]: placed_row(each["id"]) for each in acknowledged}
    at_the_desk = {order_id for (order_id,) in rows("desk", AT_THE_DESK, [list(told.values())])}
    found = {
        "acknowledged": len(acknowledged),
        "lost": [name for name, order_id in told.items() if order_id not in stored.get(name, [])],
        "not at the desk": [name for name, order_id in told.items() if order_id not in at_the_desk],
        "doubled": [name for name, found in stored.items() if len(found) > 1],
        "placed after a final refusal": [
            each["name"] for each in heard if each["outcome"] == "fail" and each["name"] in stored
        ],
        "unknown to their clients": len([each for each in heard if each["outcome"] == "unknown"]),
        "settled": is_settled,
        "audit": audited(),
    }
    print(json.dumps(found))  # noqa: T201 - read by the parent


def count(moment: str) -> None:
    """How many orders were placed since a moment."""
    from tools.cluster.trading import rows

    print(json.dumps({"count": rows("default", SINCE, [moment])[0][0]}))  # noqa: T201 - read by the parent


def demo(url: str, report: str) -> int:
    """The demo's own exit code."""
    from tools.cluster.trading import demonstrated

    return demonstrated(url, Path(report))


def main() -> None:
    if sys.argv[1] == "load":
        url, run, seconds, per_s, seed, file = sys.argv[2:]
        load(url, run, float(seconds), float(per_s), int(seed), Path(file))
    elif sys.argv[1] == "count":
        count(sys.argv[2])
    elif sys.argv[1] == "demo":
        sys.exit(demo(*sys.argv[2:]))
    else:
        prove(Path(sys.argv[2]))


if __name__ == "__main__":
    main()
