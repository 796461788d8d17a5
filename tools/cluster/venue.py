"""The paper venue, on a host of its own: it outlives what is done to the others."""

import sys
from pathlib import Path

from tools.cluster.network import Host
from tools.cluster.services import Services
from tools.stack.programs import PAPER_ORDERS_PER_10S

PORT = 8090


class Venue:
    """What programs are told of it is its `environment`."""

    def __init__(self, host: Host, folder: Path) -> None:
        self._host = host
        self._journal = folder / host.name / "journal.jsonl"
        self._services = Services(host, folder / host.name)
        self.url = f"http://{host.address}:{PORT}"

    @property
    def environment(self) -> dict[str, str]:
        """Its address, and what it grants."""
        return {"VENUE_URL": self.url, "VENUE_ORDERS_PER_10S": str(PAPER_ORDERS_PER_10S)}

    def start(self) -> None:
        """Serve."""
        at = ("--host", self._host.address, "--port", str(PORT))
        granted = ("--orders-per-10s", str(PAPER_ORDERS_PER_10S))
        self._services.start(
            "venue",
            [sys.executable, "-m", "tools.paper_venue", *at, *granted, "--journal", str(self._journal)],
        )
