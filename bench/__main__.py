"""`python -m bench [--quick] [SCENARIO ...]`: measure, print the table, leave `var/bench.json`.

Exit code 1 when an audit found something broken or an accepted order was never reported; 0 otherwise.
"""

import argparse
import fcntl
import json
import signal
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.console import Console

from bench.load.process import LoadFailed
from bench.machine import described
from bench.medians import medians
from bench.peers.run import PeerFailed
from bench.scenarios import ONCE, PEERS, REPEATED, Repeated
from bench.servers import ServerFailed, remove, servers
from bench.session import Session
from bench.sizes import FULL, QUICK
from bench.table import show
from config.stack import StackFailed

ROOT = Path(__file__).resolve().parent.parent
VAR_DIR = ROOT / "var" / "bench"
REPORT = ROOT / "var" / "bench.json"
LOCK = ROOT / "var" / "bench.lock"
WIDTH = 120  # of what is printed into a file
TROUBLE, NOT_MEASURED, INTERRUPTED = 1, 2, 130


def main() -> int:
    """Run what was asked for, unless a bench runs already. See the module."""
    options = _options()
    console = Console(highlight=False, width=None if sys.stdout.isatty() else WIDTH)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that everything is stopped then, too
    VAR_DIR.parent.mkdir(exist_ok=True)
    with LOCK.open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return run(quick=options.quick, names=options.scenarios, console=console)
        except BlockingIOError:
            console.print("a bench runs already", style="red")
        except (StackFailed, ServerFailed, PeerFailed, LoadFailed) as failure:
            console.print(str(failure), style="red", markup=False)
        except KeyboardInterrupt:
            console.print("stopped before the end", style="red")
            return INTERRUPTED
    return NOT_MEASURED


def run(*, quick: bool, names: list[str], console: Console) -> int:
    """Measure, show, and keep the servers' data only if something is wrong with them.

    The report is written also when the run ends before its time. Raises: what `main` catches.
    """
    started = time.monotonic()
    report: dict[str, Any] = {"quick": quick, "started_at": datetime.now(UTC).isoformat(timespec="seconds")}
    with servers(VAR_DIR) as running:
        session = Session(QUICK if quick else FULL, running, console)
        report["machine"] = described(running)
        try:
            measure_all(session, names, report)
        finally:
            session.stop()
            report |= {"audits": session.audits, "trouble": session.trouble}
            report["seconds"] = round(time.monotonic() - started, 1)
            REPORT.write_text(json.dumps(report, indent=2) + "\n")
    show(report, console=console)
    if session.trouble:
        console.print(f"data and logs are kept in {VAR_DIR.relative_to(ROOT)}", style="red")
        return TROUBLE
    remove(VAR_DIR)
    return 0


def measure_all(session: Session, names: list[str], report: dict[str, Any]) -> None:
    """The repeated scenarios in turns, round after round; then the others, once each."""
    repeated = {name: scenario for name, scenario in REPEATED.items() if name in names}
    rounds: dict[str, list[dict[str, Any]]] = {name: [] for name in repeated}
    prepare(session, repeated)
    for number in range(session.sizes.rounds):
        for name, scenario in repeated.items():
            with session.doing(f"{name}: round {number + 1} of {session.sizes.rounds}"):
                rounds[name].append(scenario.measure(session))
            report[name] = medians(rounds[name]) | {"rounds": [each[scenario.MAIN] for each in rounds[name]]}
            session.note(f"{name} {rounds[name][-1][scenario.MAIN]:,.0f}")
    for name, run in ONCE.items():
        if name in names:
            report[name] = run(session)


def prepare(session: Session, scenarios: dict[str, Repeated]) -> None:
    """Make the peers' databases while the stack comes up; it has to come up in the thread that lives as long as it."""
    with ThreadPoolExecutor() as pool, session.doing(f"preparing {', '.join(scenarios)}"):
        peers = [pool.submit(scenarios[name].prepare, session) for name in PEERS if name in scenarios]
        for name, scenario in scenarios.items():
            if name not in PEERS:
                scenario.prepare(session)
        for peer in peers:
            peer.result()


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="shorter and fewer rounds, under three minutes")
    every = [*REPEATED, *ONCE]
    parser.add_argument(
        "scenarios", nargs="*", metavar="SCENARIO", help=f"some of {', '.join(every)}; all when none is named"
    )
    options = parser.parse_args()
    unknown = [name for name in options.scenarios if name not in every]
    if unknown:
        parser.error(f"no scenario is called {', '.join(unknown)}")
    options.scenarios = options.scenarios or every
    return options


if __name__ == "__main__":
    sys.exit(main())
