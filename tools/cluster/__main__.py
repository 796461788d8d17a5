"""`python -m tools.cluster [FAULT ...]`: three database hosts, a stack beside them, and faults under load.

Needs root on Linux, etcd and iproute2. CLUSTER_SEED chooses moments, CLUSTER_ORDERS_PER_S the load.
"""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tools.cluster import network
from tools.cluster.database import Databases, Writable
from tools.cluster.faults import FAULTS, Fault
from tools.cluster.results import is_whole, measured
from tools.embedded import places
from tools.stack import lifecycle

ROOT = Path(__file__).resolve().parents[2]
WHOLE_BEFORE_SECONDS, WHOLE_AFTER_SECONDS = 6.0, 12.0
NEEDED = {"ip": "iproute2", "tc": "iproute2", "etcd": "etcd-server"}


def tell(line: str) -> None:
    print(f"  {line}", flush=True)  # noqa: T201 - the command's output


def missing() -> list[str]:
    """Why it cannot be tried here."""
    found = [f"{name} (Debian: {package})" for name, package in NEEDED.items() if shutil.which(name) is None]
    return found if os.geteuid() == 0 else ["root", *found]


def patroni_installed(folder: Path) -> Path:
    """A virtual environment of its own with Patroni, made when there is none."""
    made = folder / "patroni"
    if not (made / "bin/patroni").exists():
        tell("installing Patroni")
        subprocess.run([sys.executable, "-m", "venv", made], check=True)
        install = [str(made / "bin/python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        lock = Path(__file__).with_name("requirements.lock")
        subprocess.run([*install, "--require-hashes", "--no-deps", "-r", str(lock)], check=True)
    return made


@contextmanager
def stack(host: network.Host, var_dir: Path, databases: Databases) -> Iterator[dict[str, str]]:
    """The environment of a stack that runs in a namespace of its own, on the databases of the hosts."""
    shutil.rmtree(var_dir, ignore_errors=True)
    given = {
        **os.environ,
        "VAR_DIR": str(var_dir),
        "DATABASE_URL": databases.url("crossbook"),
        "DESK_DATABASE_URL": databases.url("desk"),
    }
    command = host.inside([sys.executable, "-m", "tools.stack", "up", "--detach"])
    subprocess.run(command, cwd=ROOT, env=given, check=True, stdout=subprocess.DEVNULL)
    info = lifecycle.running(places.absolute(var_dir))
    if info is None:
        raise TimeoutError("the stack does not run")
    try:
        yield {**os.environ, **info.environment}
    finally:
        down = host.inside([sys.executable, "-m", "tools.stack", "down"])
        subprocess.run(down, cwd=ROOT, env=given, check=False, stdout=subprocess.DEVNULL)


def suffer(
    fault: Fault, databases: Databases, beside: network.Host, environment: dict[str, str], folder: Path
) -> dict[str, Any]:
    """One fault under load, mended, and the proof. Raises: TimeoutError where the hosts do not get whole."""
    seed = int(os.environ.get("CLUSTER_SEED", "1"))
    per_s = float(os.environ.get("CLUSTER_ORDERS_PER_S", "30"))
    chance = random.Random(f"{seed} {fault.name}")
    databases.await_(databases.is_whole, "whole cluster")
    file, run = folder / "heard.json", f"c{uuid.uuid4().hex[:6]}"
    seconds = WHOLE_BEFORE_SECONDS + fault.seconds + WHOLE_AFTER_SECONDS
    driver = beside.inside([sys.executable, "-m", "tools.cluster.driver"])
    sent = subprocess.Popen(
        [*driver, "load", run, str(seconds), str(per_s), str(seed), str(file)],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert sent.stdout is not None  # noqa: S101 - it was asked for
    began_at = json.loads(sent.stdout.readline())["began_at"]
    writable = Writable(databases)
    writable.start()
    time.sleep(max(0.0, began_at + WHOLE_BEFORE_SECONDS - 1 + chance.random() - time.monotonic()))
    injected_at = time.monotonic()
    try:
        mend = fault.inject(databases, chance)
    except network.Unable:
        sent.kill()
        sent.wait()
        raise
    try:
        time.sleep(max(0.0, injected_at + fault.seconds - time.monotonic()))
    finally:
        mend()
    sent.wait(seconds + 120)
    writable.stopping.set()
    found = measured(
        json.loads(file.read_text()),
        injected_at=injected_at,
        per_s=per_s,
        writable_at=writable.outage(after=injected_at),
    )
    databases.await_(databases.is_whole, "whole cluster")
    done = subprocess.run(
        [*driver, "prove", str(file)],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    proof = json.loads(done.stdout.splitlines()[-1])
    at = datetime.now(UTC).isoformat(timespec="seconds")
    load = round(os.getloadavg()[0], 1)
    return {"fault": fault.name, "seed": seed, "at": at, "load_average": load, **found, "proof": proof}


def main() -> int:
    """0 when nothing was lost, doubled or broken, and also, loudly, where it cannot be tried."""
    if reasons := missing():
        tell(f"SKIPPED: the laboratory of hosts needs {', '.join(reasons)}. Nothing was tried.")
        return 0
    names = sys.argv[1:] or list(FAULTS)
    if unknown := [name for name in names if name not in FAULTS]:
        tell(f"no such fault: {', '.join(unknown)}; there are {', '.join(FAULTS)}")
        return 2
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    folder = places.absolute(places.var_dir_of(os.environ)) / "cluster"
    folder.mkdir(parents=True, exist_ok=True)
    hosts = [network.Host(f"db{number}", number) for number in (1, 2, 3)]
    beside = network.Host("app", 10)
    patroni = patroni_installed(folder)
    whole = True
    with network.made([*hosts, beside]):
        tell("starting three database hosts")
        databases = Databases(hosts, folder / "hosts", patroni, beside=beside)
        databases.start()
        tell("starting the stack")
        with stack(beside, folder / "stack", databases) as environment:
            for name in names:
                tell(f"{name}: {FAULTS[name].what}")
                try:
                    found = suffer(FAULTS[name], databases, beside, environment, folder)
                except network.Unable as error:
                    tell(f"SKIPPED: {name} was not tried: {error}")
                    continue
                with (folder / "results.jsonl").open("a") as results:
                    results.write(json.dumps(found) + "\n")
                tell(json.dumps(found))
                whole = whole and is_whole(found["proof"])
    tell("Nothing lost, nothing doubled, nothing broken." if whole else "Not everything came through.")
    return 0 if whole else 1


if __name__ == "__main__":
    sys.exit(main())
