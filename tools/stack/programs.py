"""The programs of the stack, as data: servers first, then what needs them.

Invariant: a server whose URL is given in the environment is somebody else's and is never started here.
"""

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tools.embedded import keys, server_urls, valkey

EVERYWHERE = "0.0.0.0"  # noqa: S104 - what a machine behind a proxy may be told to listen on
MANAGE = "manage.py"  # every program starts in the project folder
WEB_PORT = 8000
FLOWER_USER = "crossbook"
# beat now and then misses its signal while it talks to the database; it keeps nothing that a kill could lose.
STOP_SECONDS = {"beat": 4, "beat-standby": 4}
# How far a program steps back where cores are short (`nice`): watching waits for settling. The rest have no number, web
# among them: the desk waits for what web publishes, and reports to it.
NICE = {"stream": 5, "flower": 10}
# Of these two run, alike in all but their names: one leads, the other takes its place.
LED = ("intake", "beat", "feed")
STANDBY = "-standby"
STANDBYS = "standbys"  # all of them, where programs to be left out are named
# What venues grant a large account; an ordinary one has 100, with which settlement paces itself.
PAPER_ORDERS_PER_10S = 400
MIGRATIONS = ((sys.executable, MANAGE, "migrate", "--no-input"),)  # of both databases
# Fails where any process would fail to start.
LOADS = (sys.executable, "-c", "import config.asgi, config.streaming_asgi, config.celery")
# The venue is a server too: what settles in the moment of stopping still gets its answer.
SERVERS, APPS = "servers", "apps"


class NoSuchProgram(Exception):
    """STACK_WITHOUT names what is no program of the stack."""


@dataclass(frozen=True, kw_only=True)
class Program:
    """One supervised program; `stop_signal` asks it to end, within `stop_seconds`."""

    name: str
    group: str
    command: tuple[str, ...]
    stop_signal: str = "TERM"
    stop_seconds: int = 10
    # Whether its children are asked too; else only its kill reaches them.
    stops_as_group: bool = True
    # Ending sooner counts as a failed start, and each further attempt waits a second longer: a program that cannot
    # start must not take the machine from those that can.
    settled_seconds: int = 3


@dataclass(frozen=True, kw_only=True)
class StackPlan:
    """What to run, in which environment, and what has to be done between the servers' start and the apps'."""

    var_dir: Path
    programs: tuple[Program, ...]
    environment: dict[str, str]
    ports: dict[str, int]
    address: str = valkey.LOOPBACK  # that web and stream listen on
    preparations: tuple[tuple[str, ...], ...] = ()

    def names(self, group: str) -> list[str]:
        return [program.name for program in self.programs if program.group == group]

    @property
    def web_url(self) -> str:
        return f"http://{_reached_at(self.address)}:{self.ports['web']}"

    @property
    def stream_url(self) -> str:
        return f"http://{_reached_at(self.address)}:{self.ports['stream']}"

    @property
    def flower_url(self) -> str:
        return f"http://127.0.0.1:{self.ports['flower']}"


def plan(*, var_dir: Path, given: Mapping[str, str]) -> StackPlan:
    """The stack of `var_dir` in the environment `given`: ports are chosen, and keys made where missing.

    Raises: NoSuchProgram.
    """
    address = given.get("BIND_ADDRESS") or valkey.LOOPBACK
    ports = {name: valkey.free_port() for name in ("valkey", "venue", "stream")}
    ports["web"] = _wanted_port(int(given.get("PORT") or WEB_PORT), address)
    ports["stream"] = _wanted_port(int(given.get("STREAM_PORT") or ports["stream"]), address)
    ports["flower"] = _wanted_port(int(given.get("FLOWER_PORT") or ports["web"] + 1))
    own_keys = keys.ensure(var_dir)
    defaults = {
        **server_urls(var_dir),
        **{name: own_keys[name] for name in keys.PUBLISHED},
        "BROKER_URL": valkey.url(var_dir=var_dir, port=ports["valkey"]),
        "VENUE_URL": f"http://127.0.0.1:{ports['venue']}",
        "COUNTER_URL": f"http://{_reached_at(address)}:{ports['web']}",
        "STREAM_URL": f"http://{_reached_at(address)}:{ports['stream']}",
        "FLOWER_URL": f"http://127.0.0.1:{ports['flower']}",
        "FLOWER_BASIC_AUTH": f"{FLOWER_USER}:{own_keys['FLOWER_PASSWORD']}",
    }
    if not given.get("VENUE_URL"):
        defaults["VENUE_ORDERS_PER_10S"] = str(PAPER_ORDERS_PER_10S)
    environment = {name: given.get(name) or value for name, value in defaults.items()}
    environment |= {"VAR_DIR": str(var_dir), "PYTHONUNBUFFERED": "1"}
    programs = (*_servers(var_dir, given, ports), *_wanted(_apps(ports, address), given))
    return StackPlan(
        var_dir=var_dir,
        programs=programs,
        environment=environment,
        ports=ports,
        address=address,
        preparations=MIGRATIONS,
    )


def _wanted_port(port: int, address: str = valkey.LOOPBACK) -> int:
    return port if valkey.is_free(port, address) else valkey.free_port()


def _reached_at(address: str) -> str:
    """Where this machine reaches what listens on an address."""
    return valkey.LOOPBACK if address == EVERYWHERE else address


def _wanted(apps: list[Program], given: Mapping[str, str]) -> list[Program]:
    """Those that STACK_WITHOUT does not name. Raises: NoSuchProgram."""
    left_out = set(given.get("STACK_WITHOUT", "").replace(",", " ").split())
    if STANDBYS in left_out:
        left_out = left_out - {STANDBYS} | {f"{name}{STANDBY}" for name in LED}
    if unknown := left_out - {program.name for program in apps}:
        raise NoSuchProgram(f"STACK_WITHOUT names no program of the stack: {', '.join(sorted(unknown))}")
    return [program for program in apps if program.name not in left_out]


def _python(module: str, *arguments: str | Path | int) -> tuple[str, ...]:
    return (sys.executable, "-m", module, *map(str, arguments))


def _servers(var_dir: Path, given: Mapping[str, str], ports: Mapping[str, int]) -> list[Program]:
    servers = []
    if not (given.get("DATABASE_URL") and given.get("DESK_DATABASE_URL")):
        command = _python("tools.embedded", "--var-dir", var_dir, "postgres")
        servers.append(
            Program(
                name="postgres",
                group=SERVERS,
                command=command,
                stop_signal="INT",
                stop_seconds=30,
                settled_seconds=1,
            )
        )
    if not given.get("BROKER_URL"):
        command = _python("tools.embedded", "--var-dir", var_dir, "valkey", "--port", ports["valkey"])
        servers.append(Program(name="valkey", group=SERVERS, command=command, settled_seconds=1))
    if not given.get("VENUE_URL"):
        journal = var_dir / "venue" / "journal.jsonl"
        recorded = [path for path in given.get("MARKET_DATA", "").split(",") if path]
        command = _python(
            *("tools.paper_venue", "--port", ports["venue"], "--journal", journal),
            *("--orders-per-10s", given.get("VENUE_ORDERS_PER_10S") or PAPER_ORDERS_PER_10S),
        )
        if recorded:
            command += ("--market-data", *recorded)
        servers.append(Program(name="venue", group=SERVERS, command=_launched("venue", command)))
    return servers


def _apps(ports: Mapping[str, int], address: str) -> list[Program]:
    commands = {
        "web": _python("config.web", "--host", address, "--port", ports["web"]),
        "stream": _python("config.streaming", "--host", address, "--port", ports["stream"]),
        "intake": (sys.executable, MANAGE, "intake"),
        "worker": _python(
            *("celery", "-A", "config", "worker", "--pool", "prefork"),
            *(
                "--queues",
                "convert,settle,sweeps",
                "--without-mingle",
                "--without-gossip",
                "--loglevel",
                "INFO",
            ),
        ),
        "beat": _python(
            *(
                "celery",
                "-A",
                "config",
                "beat",
                "--loglevel",
                "INFO",
            ),
        ),
        "feed": (sys.executable, MANAGE, "feed"),
        "prices": _python("config.prices"),
        "flower": _python(
            *("celery", "-A", "config", "flower", "--address=127.0.0.1", f"--port={ports['flower']}"),
        ),
    }
    commands |= {f"{name}{STANDBY}": commands[name] for name in LED}
    return [
        Program(
            name=name,
            group=APPS,
            command=_launched(name, command),
            stop_seconds=STOP_SECONDS.get(name, 10),
            # Its children would end at once, in the middle of a conversion; their master waits for them.
            stops_as_group=name != "worker",
        )
        for name, command in commands.items()
    ]


def _launched(name: str, command: tuple[str, ...]) -> tuple[str, ...]:
    nice = [NICE[name]] if name in NICE else []
    return _python("tools.stack.launch", name, "SIGTERM", *nice, "--", *command)
