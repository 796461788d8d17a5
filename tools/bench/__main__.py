"""`python -m tools.bench [--quick] [--cores N] [SCENARIO ...]`: measure, print the table, leave `var/bench.json`.

On N cores of the machine it leaves `var/bench-cores-N.json` instead.

Exit code 1 when an audit found something broken, an accepted order was never reported, or something that was asked for
could not be measured, which the table says; 2 when the servers did not even start; 0 otherwise.
"""

import argparse
import fcntl
import json
import os
import signal
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.console import Console

from tools.bench import cpu
from tools.bench.budget import in_words, planned_seconds
from tools.bench.load.process import LoadFailed
from tools.bench.machine import commit, described, load_average
from tools.bench.medians import medians
from tools.bench.peers.run import PeerFailed
from tools.bench.scenarios import (
    ONCE,
    PEERS,
    REPEATED,
    TAKEN_FROM,
    WITH_OWN_STACKS,
    Repeated,
    usual,
)
from tools.bench.servers import ServerFailed, remove, servers
from tools.bench.session import Session
from tools.bench.sizes import FULL, QUICK
from tools.bench.table import show
from tools.bench.write_figures import REPORT, report_of_cores
from tools.embedded import secret_files
from tools.stack import StackFailed

ROOT = Path(__file__).resolve().parents[2]
VAR_DIR = ROOT / "var" / "bench"
LOCK = ROOT / "var" / "bench.lock"
WIDTH = 120  # of what is printed into a file
TROUBLE, NOT_MEASURED, INTERRUPTED = 1, 2, 130


def main() -> int:
    """Run what was asked for, unless a bench runs already. See the module."""
    options = _options()
    if options.cores:
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: options.cores])  # and all that it starts
    console = Console(highlight=False, width=None if sys.stdout.isatty() else WIDTH)
    secret_files.take_in(os.environ)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that everything is stopped then, too
    VAR_DIR.parent.mkdir(exist_ok=True)
    with LOCK.open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            report = report_of_cores(options.cores) if options.cores else REPORT
            return run(quick=options.quick, names=options.scenarios, console=console, report_file=report)
        except BlockingIOError:
            console.print("a bench runs already", style="red")
        except ServerFailed as failure:
            console.print(str(failure), style="red", markup=False)
        except KeyboardInterrupt:
            console.print("stopped before the end", style="red")
            return INTERRUPTED
    return NOT_MEASURED


def run(*, quick: bool, names: list[str], console: Console, report_file: Path) -> int:
    """Measure, show, and keep the servers' data only if something is wrong with them.

    The report is written also when the run ends before its time. Raises: ServerFailed before anything is measured.
    """
    started = time.monotonic()
    sizes = QUICK if quick else FULL
    planned = planned_seconds(sizes, names)
    console.print(
        f"this takes about {in_words(sum(planned.values()))} on two idle cores, and longer on busy ones"
    )
    report: dict[str, Any] = {"quick": quick, "started_at": datetime.now(UTC).isoformat(timespec="seconds")}
    report["commit"] = commit()
    with servers(VAR_DIR, tell=lambda line: console.print(line, style="dim", markup=False)) as running:
        session = Session(sizes, running, console)
        report["machine"] = described(running)
        try:
            measure_all(session, names, report)
        except (StackFailed, ServerFailed, LoadFailed) as failure:
            session.trouble.append(f"nothing more was measured: {failure}")
        finally:
            session.stop()
            report |= {"audits": session.audits, "loads": session.loads, "trouble": session.trouble}
            report["planned_seconds"] = planned
            report["waited_seconds"] = {
                name: round(seconds, 1) for name, seconds in session.waited.seconds.items()
            }
            report["machine"]["load_average_at_end"] = load_average()
            report["seconds"] = round(time.monotonic() - started, 1)
            report_file.write_text(json.dumps(report, indent=2) + "\n")
    show(report, console=console)
    if session.trouble:
        console.print(f"data and logs are kept in {VAR_DIR.relative_to(ROOT)}", style="red")
        return TROUBLE
    remove(VAR_DIR)
    return 0


def measure_all(session: Session, names: list[str], report: dict[str, Any]) -> None:
    """The repeated scenarios in turns, round after round; then the others, once each; then what is taken from them.

    Raises: StackFailed, LoadFailed; what was measured before is in the report.
    """
    took = report["took_seconds"] = dict.fromkeys(("start", *names), 0.0)
    repeated = {name: scenario for name, scenario in REPEATED.items() if name in names}
    with _timed(took, "start"):
        prepare(session, repeated)
        if any(name in names for name in (*ONCE.keys() - WITH_OWN_STACKS, *REPEATED.keys() - PEERS)):
            session.bed()  # one for all of them
    rounds = Rounds(session, report)
    for number in range(session.sizes.rounds):
        peers = {name: scenario for name, scenario in repeated.items() if name in PEERS}
        others = {name: scenario for name, scenario in repeated.items() if name not in PEERS}
        with session.without_stack() if peers else nullcontext():
            for name, scenario in peers.items():
                with _timed(took, name):
                    rounds.measure(name, scenario, number)
        for name, scenario in others.items():
            with _timed(took, name):
                rounds.measure(name, scenario, number)
    for name, run in ONCE.items():
        if name in names:
            with _timed(took, name):
                report[name] = run(session)
    if found := cpu.summary(report):
        report["cpu"] = found


class Rounds:
    """The rounds of the repeated scenarios; one that is no measurement makes the run fail and is in no median."""

    def __init__(self, session: Session, report: dict[str, Any]) -> None:
        self._session = session
        self._report = report
        self._valid: dict[str, list[dict[str, Any]]] = {}
        self._faults: dict[str, list[str]] = {}

    def measure(self, name: str, scenario: Repeated, number: int) -> None:
        """Measure one round, and put the medians so far into the report."""
        session = self._session
        valid = self._valid.setdefault(name, [])
        faults = self._faults.setdefault(name, [])
        with session.doing(f"{name}: round {number + 1} of {session.sizes.rounds}"):
            try:
                found = scenario.measure(session)
                fault = found.get("fault")
            except PeerFailed as failure:
                fault = str(failure)
                session.trouble.append(fault)
        if fault:
            faults.append(fault)
            session.note(f"{name}: no figure, {fault}")
        else:
            valid.append(found)
            session.note(f"{name} {found[scenario.MAIN]:,.0f}")
        figures = medians(valid) if valid else {}
        self._report[name] = figures | {"rounds": [each[scenario.MAIN] for each in valid], "faults": faults}


def prepare(session: Session, scenarios: dict[str, Repeated]) -> None:
    """Make the peers' databases while the stack comes up; it has to come up in the thread that lives as long as it.

    A peer that cannot be prepared makes the run fail, but for the others it goes on.
    """
    with ThreadPoolExecutor() as pool, session.doing(f"preparing {', '.join(scenarios)}"):
        peers = {name: pool.submit(scenarios[name].prepare, session) for name in PEERS if name in scenarios}
        for name, scenario in scenarios.items():
            if name not in PEERS:
                scenario.prepare(session)
        for name, peer in peers.items():
            try:
                peer.result()
            except PeerFailed as failure:
                session.trouble.append(str(failure))
                del scenarios[name]


@contextmanager
def _timed(took: dict[str, float], name: str) -> Iterator[None]:
    began_at = time.monotonic()
    try:
        yield
    finally:
        took[name] = round(took[name] + time.monotonic() - began_at, 1)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tools.bench", description=__doc__)
    parser.add_argument(
        "--cores",
        type=int,
        metavar="N",
        help="keep to the first N of the cores that it may use, with the load and all servers, as under taskset",
    )
    parser.add_argument("--quick", action="store_true", help="shorter and fewer rounds, under three minutes")
    every = [*REPEATED, *ONCE]
    known = [*every, *TAKEN_FROM]
    parser.add_argument(
        "scenarios", nargs="*", metavar="SCENARIO", help=f"some of {', '.join(known)}; all when none is named"
    )
    options = parser.parse_args()
    usable = len(os.sched_getaffinity(0))
    if options.cores is not None and not 1 <= options.cores <= usable:
        parser.error(f"--cores goes from 1 to {usable} here")
    unknown = [name for name in options.scenarios if name not in known]
    if unknown:
        parser.error(f"no scenario is called {', '.join(unknown)}")
    wanted = {part for name in options.scenarios for part in TAKEN_FROM.get(name, (name,))}
    options.scenarios = [name for name in every if name in wanted] or usual(quick=options.quick)
    return options


if __name__ == "__main__":
    sys.exit(main())
