"""Beside Patroni on each host: keeps etcd's leader off the host of the primary. `python3 etcd_elsewhere.py 10.0.0.1`.

A host that is lost with both costs seconds more: etcd first chooses a leader, who then gives every lease, the primary's
among them, its whole time anew.
"""

import json
import sys
import time
from contextlib import suppress
from typing import Any
from urllib.error import URLError
from urllib.request import urlopen

PATRONI_PORT, ETCD_PORT = 8008, 2379
LOOKS_EVERY_SECONDS, ANSWERED_WITHIN_SECONDS = 5.0, 2.0


def etcd(host: str, call: str, **told: str) -> dict[str, Any]:
    """What the host's etcd answers. Raises: OSError."""
    url, body = f"http://{host}:{ETCD_PORT}/v3/{call}", json.dumps(told).encode()
    with urlopen(url, body, timeout=ANSWERED_WITHIN_SECONDS) as answer:
        found: dict[str, Any] = json.load(answer)
        return found


def is_primary(host: str) -> bool:
    """Whether Patroni says so of the PostgreSQL of its host."""
    with suppress(URLError, TimeoutError):
        urlopen(f"http://{host}:{PATRONI_PORT}/primary", timeout=ANSWERED_WITHIN_SECONDS).close()
        return True
    return False


def move_away(host: str) -> bool:
    """Have another member lead if this host's does; whether it did. Raises: OSError."""
    status = etcd(host, "maintenance/status")
    own = status["header"]["member_id"]
    if status.get("leader") != own:  # left out while there is none
        return False
    others = [member for member in etcd(host, "cluster/member/list")["members"] if member["ID"] != own]
    for other in others:
        with suppress(OSError):
            etcd(host, "maintenance/transfer-leadership", targetID=other["ID"])
            return True
    return False


def main() -> None:
    host = sys.argv[1]
    while True:
        with suppress(OSError):
            if is_primary(host) and move_away(host):
                print("etcd is led by another host now", flush=True)  # noqa: T201
        time.sleep(LOOKS_EVERY_SECONDS)


if __name__ == "__main__":
    main()
