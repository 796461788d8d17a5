"""Programs load nothing only because it is installed, and who asks for it gets it."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LOADED = """
import sys
import {module}
import redis, structlog
print(*({{"rich", "opentelemetry.sdk"}} & sys.modules.keys()))
import rich.table
"""


def loaded(module: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", LOADED.format(module=module)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.strip()


def test_what_only_lies_beside_a_package_is_not_loaded() -> None:
    assert "rich" in loaded("sys"), "which structlog would load"
    assert loaded("config.environment") == ""
