"""Command line of the stack: `python -m tools.stack up [--detach] | down | ps | restart NAME | roll | clean | backup
| restore FOLDER | hold MOMENT`."""

import argparse
import os
import sys
from datetime import UTC, datetime
from pathlib import Path

from tools.embedded import places, secret_files
from tools.stack import backups, console, lifecycle, readiness, rolling, trading
from tools.stack.supervision import Supervisor

USAGE_ERROR = 2


def main() -> int:
    secret_files.take_in(os.environ)
    parser = argparse.ArgumentParser(prog="python -m tools.stack", description=__doc__)
    parser.add_argument("--var-dir", type=Path, default=places.var_dir_of(os.environ))
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("up", help="start everything").add_argument(
        "--detach", action="store_true", help="return once it serves, and leave it running"
    )
    commands.add_parser("down", help="stop everything")
    commands.add_parser("clean", help="stop everything and delete its data")
    commands.add_parser("ps", help="list the processes")
    commands.add_parser("restart", help="stop and start one program").add_argument("name")
    commands.add_parser("roll", help="replace the programs by the code of now while they serve")
    commands.add_parser("backup", help="dump both databases").add_argument(
        "--to", type=Path, help="folder of the backups; default: backups/ beside the data"
    )
    restore = commands.add_parser("restore", help="put a backup in the place of what is there")
    restore.add_argument("folder", type=Path)
    restore.add_argument("--only", choices=backups.VARIABLES, help="this database alone")
    commands.add_parser("hold", help="hold a desk that other tools have restored").add_argument(
        "moment", type=_moment, help="to which both databases were restored, with its offset from UTC"
    )
    options = parser.parse_args()
    var_dir = places.absolute(options.var_dir)
    if options.command == "up":
        return _up(var_dir, detach=options.detach)
    if options.command == "down":
        console.tell("stopped" if lifecycle.stop(var_dir=var_dir) else "not running")
        return 0
    if options.command == "clean":
        console.tell(f"stopping, then removing {var_dir} ...")
        lifecycle.remove(var_dir=var_dir)
        return 0
    if options.command == "backup":
        return _backup(var_dir, options.to or var_dir / "backups")
    if options.command == "restore":
        return _restore(var_dir, options.folder, [options.only] if options.only else list(backups.VARIABLES))
    if options.command == "hold":
        return _hold(var_dir, options.moment)
    info = lifecycle.running(var_dir)
    if info is None:
        console.tell("not running")
        return 1
    try:
        if options.command == "ps":
            console.show_processes(info.processes)
            return 0
        if options.command == "roll":
            return _roll(info)
        return _restart(var_dir, options.name)
    except OSError as error:
        console.tell(
            f"the supervisor does not answer ({error}); its guard starts it again, try in half a minute"
        )
        return 1


def _backup(var_dir: Path, to: Path) -> int:
    try:
        folder = backups.take(
            urls=backups.urls(var_dir, os.environ), var_dir=var_dir, to=to, now=datetime.now(UTC)
        )
    except backups.BackupFailed as failure:
        console.tell(f"no backup: {failure}")
        return 1
    console.tell(str(folder))
    return 0


def _restore(var_dir: Path, folder: Path, names: list[str]) -> int:
    try:
        with backups.served(var_dir, os.environ):
            kept = backups.restore(
                urls=backups.urls(var_dir, os.environ), backup=folder, now=datetime.now(UTC), names=names
            )
    except backups.BackupFailed as failure:
        console.tell(f"nothing restored: {failure}")
        return 1
    for name, before in kept.items():
        console.tell(f"{name}: restored; what was there is kept as {before}")
    if others := backups.put_keys_back(backup=folder, var_dir=var_dir):
        console.tell(
            f"{', '.join(others)}: not the backup's. Customers' ids and API keys are of its keys.json: "
            "put that in place before make up, unless they were exchanged since"
        )
    return 0


def _moment(text: str) -> datetime:
    try:
        found = datetime.fromisoformat(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text} is no moment: write 2026-11-24T12:00:00Z") from error
    if found.tzinfo is None:
        raise argparse.ArgumentTypeError(f"{text} has no time zone: write {text}Z for UTC, or an offset")
    return found


def _hold(var_dir: Path, moment: datetime) -> int:
    try:
        with backups.served(var_dir, os.environ):
            backups.hold(urls=backups.urls(var_dir, os.environ), moment=moment)
    except backups.BackupFailed as failure:
        console.tell(f"not held: {failure}")
        return 1
    console.tell("held: the desk sends nothing before manage.py after_restore has asked the venue")
    return 0


def _up(var_dir: Path, *, detach: bool) -> int:
    try:
        info = lifecycle.start(var_dir=var_dir, attached=not detach, tell=console.tell)
    except lifecycle.StackAlreadyRunning as running:
        console.tell(str(running))
        return 0
    except readiness.RecordingsRefused as refusal:
        console.tell(f"not started: {refusal}")
        return USAGE_ERROR
    except (lifecycle.StackFailed, places.FolderNotPrivate) as failure:
        console.tell(f"not started: {failure}")
        return 1
    except KeyboardInterrupt:
        console.tell("stopped before it served")
        return 130
    console.show_addresses(info)
    if detach:
        if any(process.name == "web" for process in info.processes):
            trading.wait(info.web_url, tell=console.tell)
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
