"""The load balancer: HAProxy, configured by deploy/haproxy/haproxy.cfg, in front of the programs of all hosts."""

import re
from collections.abc import Sequence
from pathlib import Path

from tools.cluster.network import NETWORK, Host
from tools.cluster.services import Services
from tools.embedded import places

ROOT = Path(__file__).resolve().parents[2]
PORT, DESK_PORT = 8443, 8080
EXAMPLES = re.compile(r"\b10\.0\.0\.([123])\b(?!/)")  # the machines' addresses in the example
EXAMPLE_NETWORK = "10.0.0.0/24"
# Two files for each connection: as many as any machine's limit lets it open.
EXAMPLE_CONNECTIONS, CONNECTIONS = "maxconn 20000", "maxconn 4000"


class Balancer:
    """On a host of its own; `url` is the customers' door, `desk_url` the desk's."""

    def __init__(self, host: Host, hosts: Sequence[Host], folder: Path) -> None:
        self.host = host
        self._hosts = hosts
        self._folder = folder / host.name
        self._services = Services(host, self._folder)
        self.url = f"http://{host.address}:{PORT}"
        self.desk_url = f"http://{host.address}:{DESK_PORT}"

    def configuration(self) -> str:
        """The example of deploy/, with the addresses of the laboratory."""
        text = (ROOT / "deploy/haproxy/haproxy.cfg").read_text().replace(EXAMPLE_NETWORK, NETWORK)
        text = text.replace(EXAMPLE_CONNECTIONS, CONNECTIONS)
        return EXAMPLES.sub(lambda found: self._hosts[int(found[1]) - 1].address, text)

    def start(self) -> None:
        """Serve; what it says of the programs' health is in its log."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        file = self._folder / "haproxy.cfg"
        places.write_private(file, self.configuration())
        self._services.start("haproxy", ["haproxy", "-db", "-f", str(file)])
