"""structlog and redis-py without what they load only because it is installed: a tenth of a second of each start.

structlog would load rich, for tracebacks on terminals where ours are lines of JSON; redis-py OpenTelemetry's metrics,
which nobody switches on. Who imports either by itself later gets it.
"""

import sys
from importlib import import_module
from typing import Any

UNUSED = {"structlog": "rich", "redis": "opentelemetry.sdk.metrics"}


def load(package: str, *, without: str) -> None:
    """Import a package as if another were not installed; as it is, if somebody imported either before."""
    if without in sys.modules:
        return
    modules: dict[str, Any] = sys.modules
    modules[without] = None  # importing it fails
    try:
        import_module(package)
    finally:
        del modules[without]


for package, unused in UNUSED.items():
    load(package, without=unused)
