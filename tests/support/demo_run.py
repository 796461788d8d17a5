"""The demo as a process: begun with sizes of its own, waited for, and what its report has to say."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.support.template import kept_data
from tools.embedded import valkey

ROOT = Path(__file__).resolve().parents[2]
DONE_WITHIN_SECONDS = 600


def start_demo(var_dir: Path, **sizes: str) -> subprocess.Popen[bytes]:
    """In the stack of `var_dir` if one runs there, else with one of its own; what it prints is in `log_of`."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    with log_of(var_dir).open("wb") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "tools.demo"],
            cwd=ROOT,
            env={**kept, "PORT": str(valkey.free_port()), "VAR_DIR": str(var_dir), **sizes},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
        )


def begin_migrated(var_dir: Path) -> None:
    """Have a stack that is not there yet find migrated data of the session's, where they are those of its user."""
    data = kept_data()
    if not data.is_symlink():
        var_dir.mkdir(mode=0o700)
        subprocess.run(["cp", "-R", "-p", data, var_dir / "postgres"], check=True)


def log_of(var_dir: Path) -> Path:
    """What the demo prints."""
    return var_dir.parent / "demo.log"


def finished(demo: subprocess.Popen[bytes], var_dir: Path) -> dict[str, Any]:
    """The report of a demo that ended well; otherwise what it printed."""
    try:
        code = demo.wait(DONE_WITHIN_SECONDS)
    finally:
        if demo.poll() is None:
            demo.terminate()
            demo.wait(60)
    assert code == 0, log_of(var_dir).read_text()[-4000:]
    return json.loads((var_dir / "demo-report.json").read_text())


def assert_all_came_through(report: dict[str, Any]) -> None:
    """Every accepted order is settled and reported, every sent one was answered, and the audit finds nothing."""
    orders = report["orders"]
    assert orders["accepted"] == orders["settled"] == orders["reported"] > 0
    assert orders["submitted"] == orders["accepted"] + orders["rejected"]
    assert orders["unanswered"] == 0
    assert report["audit"] == {"broken": 0, "in_flight": 0, "unchecked": []}
