"""Command line of the stack: `python -m config.stack up [--detach] | down | ps | restart NAME | roll | clean`."""

import argparse
import os
import sys
from pathlib import Path

from config.embedded import places
from config.stack import console, lifecycle, rolling
from config.stack.supervision import Supervisor


def main() -> int:
    default = os.environ.get("VAR_DIR") or lifecycle.ROOT / "var"
    parser = argparse.ArgumentParser(prog="python -m config.stack", description=__doc__)
    parser.add_argument("--var-dir", type=Path, default=Path(default))
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("up", help="start everything").add_argument(
        "--detach", action="store_true", help="return once it serves, and leave it running"
    )
    commands.add_parser("down", help="stop everything")
    commands.add_parser("clean", help="stop everything and delete its data")
    commands.add_parser("ps", help="list the processes")
    commands.add_parser("restart", help="stop and start one program").add_argument("name")
    commands.add_parser("roll", help="replace the programs by the code of now while they serve")
    options = parser.parse_args()
    var_dir = places.absolute(options.var_dir)
    if options.command == "up":
        return _up(var_dir, detach=options.detach)
    if options.command == "down":
        console.tell("stopped" if lifecycle.stop(var_dir=var_dir) else "not running")
        return 0
    if options.command == "clean":
        lifecycle.remove(var_dir=var_dir)
        console.tell(f"removed {var_dir}")
        return 0
    info = lifecycle.running(var_dir)
    if info is None:
        console.tell("not running")
        return 1
    if options.command == "ps":
        console.show_processes(info.processes)
        return 0
    if options.command == "roll":
        return _roll(info)
    return _restart(var_dir, options.name)


def _up(var_dir: Path, *, detach: bool) -> int:
    try:
        info = lifecycle.start(var_dir=var_dir, attached=not detach, tell=console.tell)
    except lifecycle.StackAlreadyRunning as running:
        console.tell(str(running))
        return 0
    except (lifecycle.StackFailed, places.FolderNotPrivate) as failure:
        console.tell(f"not started: {failure}")
        return 1
    except KeyboardInterrupt:
        console.tell("stopped before it served")
        return 130
    console.show_addresses(info)
    if detach:
        return 0
    stopping = console.Stopping()
    console.show_processes(info.processes)
    console.follow(info, still_running=lambda: lifecycle.running(var_dir), stopping=stopping)
    if stopping:
        console.tell("stopping ...")
        lifecycle.stop(var_dir=var_dir)
    console.tell("stopped")
    return 0


def _roll(info: lifecycle.StackInfo) -> int:
    try:
        rolling.roll(info, tell=console.tell)
    except lifecycle.StackFailed as failure:
        console.tell(f"not all replaced: {failure}")
        return 1
    return 0


def _restart(var_dir: Path, name: str) -> int:
    try:
        Supervisor(var_dir).restart(name)
    except KeyError:
        console.tell(f"no program is called {name}")
        return 2
    console.tell(f"restarted {name}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
