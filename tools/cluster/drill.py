"""`python -m tools.cluster.drill`: lose all hosts' databases, restore to one minute before, prove what is left.

`make cluster-drill`; docs/backup.md says the same to operators. Needs root on Linux, etcd, HAProxy and iproute2.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
import uuid
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tools.cluster.archive import Archive
from tools.cluster.laboratory import ROOT, Laboratory, built, is_impossible, tell
from tools.cluster.results import is_whole
from tools.stack.supervision import wait_until

KEPT_SECONDS, FORGOTTEN_SECONDS, AFTER_SECONDS = 20.0, 60.0, 10.0
REMEMBERED_WITHIN_SECONDS = 240.0
ORDERS_PER_S = 20.0


def main() -> int:
    """0 when the restored books are those of the moment, agree with the venue, and take orders again."""
    if is_impossible():
        return 0
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    with built() as lab:
        shutil.rmtree(lab.folder / "archive", ignore_errors=True)
        archive = Archive(lab.clients, [each.host for each in lab.databases.members], lab.folder / "archive")
        try:
            found = drill(lab, archive)
        finally:
            archive.end()
    tell(json.dumps(found))
    whole = all(is_whole(found[name]) for name in ("before", "after"))
    whole = whole and bool(found["forgotten"]) and not found["of them left"] and found["is reconciled"]
    tell("Restored, and nothing broken." if whole else "Not everything came through.")
    return 0 if whole else 1


def drill(lab: Laboratory, archive: Archive) -> dict[str, Any]:
    """What came of it. Raises: TimeoutError, CalledProcessError where a step fails."""
    if (primary := lab.databases.primary()) is None:
        raise TimeoutError("there is no primary")
    archive.begin(primary.patroni_url)
    before = _load(lab, KEPT_SECONDS, "before")
    _driver(lab, "prove", str(before))
    moment = datetime.now(UTC)
    tell(f"{moment}: the moment to go back to; a minute that will be forgotten")
    _load(lab, FORGOTTEN_SECONDS, "forgotten")
    forgotten = _driver(lab, "count", moment.isoformat())["count"]
    tell("every host loses its power, and its databases' disk")
    for machine in lab.machines:
        machine.kill()
    lab.databases.destroy()
    archive.end()
    began_at = time.monotonic()
    tell("restoring")
    for machine in lab.machines:
        machine.host.connect()
        machine.broker.start()
    lab.databases.restore(archive, moment=moment)
    lab.databases.await_(lab.brokers.is_whole, "a broker that two others follow")
    lab.run("tools.stack", "hold", moment.isoformat(), log=lab.folder / "drill.log")
    lab.brokers.forget()
    lab.serve()
    if not wait_until(
        lambda: _manage(lab, "after_restore"),
        within_seconds=REMEMBERED_WITHIN_SECONDS,
        every_seconds=5,
    ):
        raise TimeoutError("the desk stays held")
    restored_s = round(time.monotonic() - began_at, 1)
    tell(f"restored in {restored_s} s; the desk sends again")
    left = _driver(lab, "count", moment.isoformat())["count"]
    is_reconciled = _manage(lab, "reconcile")
    after = _load(lab, AFTER_SECONDS, "after")
    return {
        "moment": moment.isoformat(),
        "forgotten": forgotten,
        "of them left": left,
        "restored_s": restored_s,
        "is reconciled": is_reconciled,
        **{each.stem: _driver(lab, "prove", str(each)) for each in (before, after)},
    }


def _load(lab: Laboratory, seconds: float, name: str) -> Path:
    """Send orders; the file of what became of each."""
    file = lab.folder / f"{name}.json"
    seed = os.environ.get("CLUSTER_SEED", "1")
    run = f"d{uuid.uuid4().hex[:6]}"
    _driver(lab, "load", lab.balancer.url, run, str(seconds), str(ORDERS_PER_S), seed, str(file))
    return file


def _driver(lab: Laboratory, *arguments: str) -> dict[str, Any]:
    """What the driver says last. Raises: CalledProcessError."""
    done = subprocess.run(
        lab.clients.inside([sys.executable, "-m", "tools.cluster.driver", *arguments]),
        cwd=ROOT,
        env=lab.environment,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def _manage(lab: Laboratory, command: str) -> bool:
    """Whether a command of manage.py succeeds; what it says is kept."""
    with (lab.folder / "drill.log").open("a") as log:
        managed = lab.clients.inside([sys.executable, "manage.py", command])
        return subprocess.run(managed, cwd=ROOT, env=lab.environment, stdout=log, stderr=log).returncode == 0


if __name__ == "__main__":
    sys.exit(main())
