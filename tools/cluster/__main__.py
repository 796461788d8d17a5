"""`python -m tools.cluster [FAULT ...]`: three whole hosts, and faults under load.

Needs root on Linux, etcd, HAProxy and iproute2. CLUSTER_SEED chooses moments, CLUSTER_ORDERS_PER_S the load;
CLUSTER_ROUNDS goes through the faults so many times, each time with the next seed.
"""

import itertools
import json
import os
import random
import signal
import subprocess
import sys
import time
import uuid
from datetime import UTC, datetime
from typing import Any

from tools.cluster import network
from tools.cluster.driver import stop_file
from tools.cluster.faults import FAULTS, Fault, Mend, NotMended
from tools.cluster.laboratory import ROOT, Laboratory, built, is_impossible, tell
from tools.cluster.results import is_whole, measured
from tools.cluster.writable import Writable

# The load goes on from before the fault until after all hosts are whole again.
WHOLE_BEFORE_SECONDS, WHOLE_AFTER_SECONDS = 6.0, 10.0
MENDED_WITHIN_SECONDS, ENDS_WITHIN_SECONDS = 600.0, 120.0
WHOLE_WITHIN_SECONDS = 480.0


def suffer(fault: Fault, lab: Laboratory, seed: int) -> dict[str, Any]:
    """One fault under load, mended, and the proof. Raises: TimeoutError where the hosts are not whole to begin with."""
    per_s = float(os.environ.get("CLUSTER_ORDERS_PER_S", "30"))
    chance = random.Random(f"{seed} {fault.name}")
    lab.await_whole(WHOLE_WITHIN_SECONDS)
    file, run = lab.folder / f"heard-{fault.name}-{seed}.json", f"c{uuid.uuid4().hex[:6]}"
    stop_file(file).unlink(missing_ok=True)
    seconds = WHOLE_BEFORE_SECONDS + fault.seconds + MENDED_WITHIN_SECONDS
    driver = lab.clients.inside([sys.executable, "-m", "tools.cluster.driver"])
    sent = subprocess.Popen(
        [*driver, "load", lab.balancer.url, run, str(seconds), str(per_s), str(seed), str(file)],
        cwd=ROOT,
        env=lab.environment,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert sent.stdout is not None  # noqa: S101 - it was asked for
    began_at = json.loads(sent.stdout.readline())["began_at"]
    writable = Writable(lab.databases)
    writable.start()
    time.sleep(max(0.0, began_at + WHOLE_BEFORE_SECONDS - 1 + chance.random() - time.monotonic()))
    injected_at = time.monotonic()
    try:
        mend = fault.inject(lab, chance)
    except network.Unable:
        writable.stopping.set()
        sent.kill()
        sent.wait()
        raise
    try:
        time.sleep(max(0.0, injected_at + fault.seconds - time.monotonic()))
    finally:
        trouble = _trouble_of(mend)
        lasted_s = round(time.monotonic() - injected_at, 1)
        trouble = trouble or _trouble_of(lambda: lab.await_whole(WHOLE_WITHIN_SECONDS))
        whole_s = round(time.monotonic() - injected_at, 1)
        time.sleep(WHOLE_AFTER_SECONDS)
        stop_file(file).touch()
    sent.wait(ENDS_WITHIN_SECONDS)
    writable.stopping.set()
    found = measured(
        json.loads(file.read_text()),
        per_s=per_s,
        gaps=writable.gaps(after=injected_at),
    )
    done = subprocess.run(
        [*driver, "prove", str(file)],
        cwd=ROOT,
        env=lab.environment,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    proof = {**json.loads(done.stdout.splitlines()[-1]), "trouble": trouble}
    at = datetime.now(UTC).isoformat(timespec="seconds")
    load = round(os.getloadavg()[0], 1)
    return {
        "fault": fault.name,
        "seed": seed,
        "at": at,
        "load_average": load,
        "lasted_s": lasted_s,
        "whole_s": whole_s,
        **found,
        "proof": proof,
    }


def _trouble_of(mend: Mend) -> str:
    """Mend it; what went wrong, if anything did."""
    try:
        mend()
    except (NotMended, TimeoutError, network.Unable) as error:
        tell(str(error))
        return str(error)
    return ""


def main() -> int:
    """0 when nothing was lost, doubled or broken, and also, loudly, where it cannot be tried."""
    if is_impossible():
        return 0
    names = sys.argv[1:] or list(FAULTS)
    if unknown := [name for name in names if name not in FAULTS]:
        tell(f"no such fault: {', '.join(unknown)}; there are {', '.join(FAULTS)}")
        return 2
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    whole = True
    small_disks = any(FAULTS[name].small_disks for name in names)
    first = int(os.environ.get("CLUSTER_SEED", "1"))
    seeds = range(first, first + int(os.environ.get("CLUSTER_ROUNDS", "1")))
    with built(small_disks=small_disks) as lab:
        for seed, name in itertools.product(seeds, names):
            tell(f"{name}: {FAULTS[name].what} (seed {seed})")
            try:
                found = suffer(FAULTS[name], lab, seed)
            except network.Unable as error:
                tell(f"SKIPPED: {name} was not tried: {error}")
                continue
            with (lab.folder / "results.jsonl").open("a") as results:
                results.write(json.dumps(found) + "\n")
            tell(json.dumps(found))
            whole = whole and is_whole(found["proof"])
    tell("Nothing lost, nothing doubled, nothing broken." if whole else "Not everything came through.")
    return 0 if whole else 1


if __name__ == "__main__":
    sys.exit(main())
