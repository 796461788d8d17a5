"""`python -m bench [--quick] [SCENARIO ...]`: measure, print the table, leave `var/bench.json`.

Exit code 1 when an audit found something broken or an accepted order was never reported; 0 otherwise.
"""

import argparse
import json
import signal
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.console import Console

from bench.load.process import LoadFailed
from bench.machine import described
from bench.medians import medians
from bench.peers.run import PeerFailed
from bench.scenarios import ONCE, REPEATED
from bench.servers import ServerFailed, servers
from bench.session import Session
from bench.sizes import FULL, QUICK
from bench.table import show
from config.stack import StackFailed

ROOT = Path(__file__).resolve().parent.parent
VAR_DIR = ROOT / "var" / "bench"
REPORT = ROOT / "var" / "bench.json"
WIDTH = 120  # of what is printed into a file


def main() -> int:
    """Run what was asked for; the report is written also when that ends before its time."""
    options = _options()
    console = Console(highlight=False, width=None if sys.stdout.isatty() else WIDTH)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that everything is stopped then, too
    started = time.monotonic()
    report: dict[str, Any] = {
        "quick": options.quick,
        "started_at": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    try:
        with servers(VAR_DIR) as running:
            session = Session(QUICK if options.quick else FULL, running, console)
            report["machine"] = described(running)
            try:
                measure_all(session, options.scenarios, report)
            finally:
                session.stop()
                report |= {"audits": session.audits, "trouble": session.trouble}
                report["seconds"] = round(time.monotonic() - started, 1)
                REPORT.write_text(json.dumps(report, indent=2) + "\n")
    except (StackFailed, ServerFailed, PeerFailed, LoadFailed) as failure:
        console.print(str(failure), style="red", markup=False)
        return 2
    except KeyboardInterrupt:
        console.print("stopped before the end", style="red")
        return 130
    show(report, console=console)
    return 1 if session.trouble else 0


def measure_all(session: Session, names: list[str], report: dict[str, Any]) -> None:
    """The repeated scenarios in turns, round after round; then the others, once each."""
    repeated = {name: scenario for name, scenario in REPEATED.items() if name in names}
    rounds: dict[str, list[dict[str, Any]]] = {name: [] for name in repeated}
    for name, scenario in repeated.items():
        with session.doing(f"{name}: preparing"):
            scenario.prepare(session)
    for number in range(session.sizes.rounds):
        for name, scenario in repeated.items():
            with session.doing(f"{name}: round {number + 1} of {session.sizes.rounds}"):
                rounds[name].append(scenario.measure(session))
            report[name] = medians(rounds[name]) | {"rounds": [each[scenario.MAIN] for each in rounds[name]]}
            session.note(f"{name} {rounds[name][-1][scenario.MAIN]:,.0f}")
    for name, run in ONCE.items():
        if name in names:
            report[name] = run(session)


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
