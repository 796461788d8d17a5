"""Where things are: the stack's folder, its databases and the addresses of its programs.

The stack hands its servers to its programs by their environment, and manage.py takes those of the stack that runs under
VAR_DIR. Unset, they are a place under VAR_DIR where nobody else's server listens.
"""

import os
from pathlib import Path
from typing import Any

from psycopg import ProgrammingError
from psycopg.conninfo import conninfo_to_dict

from config.environment import SettingInvalid, Subject
from config.stack_name import NAME as _STACK_NAME
from config.stack_name import stack_name
from infra.db.engine.hosts import hosts_of
from infra.observability.program import program_name

_place = Subject("Where things are")

BASE_DIR = Path(__file__).resolve().parents[2]
VAR_DIR = Path(
    _place.text(
        "VAR_DIR",
        str(BASE_DIR / "var"),
        "data, logs, sockets and keys of one stack",
        allowed="a folder",
        shown="`var`",
    )
)
_OWN_SOCKETS = VAR_DIR / "run"

DATABASE_CONNECT_SECONDS = _place.whole(
    "DATABASE_CONNECT_SECONDS",
    "2",
    "how long a database host may take to answer a new connection",
    unit="seconds",
    least=2,  # libpq's least
)
DATABASE_SILENT_SECONDS = _place.seconds(
    "DATABASE_SILENT_SECONDS",
    "1",
    "after how much silence of a statement its server is asked whether it is there ([why](decisions/failover.md)); "
    "0: never",
)
DATABASE_KEEPALIVE_SECONDS = _place.whole(
    "DATABASE_KEEPALIVE_SECONDS",
    "10",
    "after how much silence TCP gives up a connection to a database, on both sides",
    unit="seconds",
    least=2,
)


def _keepalive() -> dict[str, int]:
    """A machine that vanishes is noticed by TCP too, on both sides: the locks that its connections hold
    (`infra.coordination.leader`) are free then. Sockets of one machine ignore all of it.
    """
    probes = DATABASE_KEEPALIVE_SECONDS // 2  # one a second
    return {
        "keepalives_idle": DATABASE_KEEPALIVE_SECONDS - probes,
        "keepalives_interval": 1,
        "keepalives_count": probes,
        "tcp_user_timeout": DATABASE_KEEPALIVE_SECONDS * 1000,  # ms: of what was sent and never acknowledged
    }


def _database(name: str, database: str, whose: str) -> dict[str, Any]:
    """The variable of one database, as Django's connection settings. Raises: SettingInvalid."""
    url = _place.secret(
        name,
        f"postgresql:///{database}?host={_OWN_SOCKETS}",
        f"{whose} database: `postgresql://USER:PASSWORD@HOST:5432/{database}`, or "
        f"[several hosts](servers.md#several-database-hosts): `postgresql://USER:PASSWORD@A,B,C:5432/{database}`",
        shown="embedded PostgreSQL",
    )
    try:
        return database_of(url)
    except ProgrammingError:  # names parts of the URL, and a password is one of them
        raise SettingInvalid(f"{name} is no address of a PostgreSQL database") from None


def database_of(url: str) -> dict[str, Any]:
    """Django's connection settings from a PostgreSQL URL: unix sockets (`?host=/folder`), several hosts (`a:1,b:2`).

    Of several hosts the one that takes writes is used, unless the URL says otherwise.

    Raises: psycopg.ProgrammingError for what is no such URL.
    """
    parts: dict[str, Any] = conninfo_to_dict(url)
    hosts_of(parts)
    if "," in parts.get("host", ""):
        parts.setdefault("target_session_attrs", "read-write")
    known = {
        "NAME": parts.pop("dbname", ""),
        "USER": parts.pop("user", ""),
        "PASSWORD": parts.pop("password", ""),
        "HOST": parts.pop("host", ""),
        "PORT": parts.pop("port", ""),
    }
    return {
        "ENGINE": "infra.db.engine",
        **known,
        "CONN_MAX_AGE": None,
        "CONN_HEALTH_CHECKS": True,
        # Prepared by their third use, statements are parsed and planned once a connection: half the server's work.
        "OPTIONS": {
            "connect_timeout": DATABASE_CONNECT_SECONDS,
            # Who is connected, in pg_stat_activity; `tools.stack.rolling` waits for it.
            "application_name": f"{program_name('crossbook')} {os.getpid()}",
            "server_side_binding": True,
            "prepare_threshold": 3,
            **_keepalive(),
            **parts,
            "silent_seconds": DATABASE_SILENT_SECONDS,
            "session": {
                f"tcp_{name.removeprefix('tcp_')}": str(value) for name, value in _keepalive().items()
            },
        },
    }


DATABASES = {
    "default": _database("DATABASE_URL", "crossbook", "counter's"),
    "desk": _database("DESK_DATABASE_URL", "desk", "the desk's"),
}
DATABASES["desk"]["TEST"] = {"DEPENDENCIES": []}  # a test of the desk needs no counter
DATABASE_ROUTERS = ["config.router.TwoSystems"]
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

BROKER_URL = _place.secret(
    "BROKER_URL",
    "redis://127.0.0.1:1/0",
    "Redis, Valkey or RabbitMQ: `redis://:PASSWORD@HOST:6379/0`, `amqp://USER:PASSWORD@HOST:5672//`; several as "
    "`amqp://A;amqp://B`, or `sentinel://A;sentinel://B`",
    shown="embedded Valkey",
)
BROKER_SENTINEL_MASTER = _place.text("BROKER_SENTINEL_MASTER", "mymaster", "what Sentinels call the broker")
COUNTER_URL = _place.address(
    "COUNTER_URL", "http://127.0.0.1:8000", "where the desk finds counter", shown="this stack's web"
)
STREAM_URL = _place.address(
    "STREAM_URL",
    "",
    "where the web program sends listeners; unset behind a proxy that knows the way",
    shown="this stack's stream program",
)
FLOWER_URL = _place.address("FLOWER_URL", "", "where the admin's link to Flower leads", shown="this stack's")
MARKET_DATA = _place.words(
    "MARKET_DATA",
    "",
    "recorded files: prices for the paper venue, an option chain for the feed",
    shown="none",
)
COUNTER_SOURCE = _place.text(
    "COUNTER_SOURCE", "crossbook", "counter's name in every message; the same on both sides"
)
# Every queue has it in its name, and every message's signature covers it.
STACK_NAME = stack_name(
    given=_place.text(
        "STACK_NAME",
        "",
        "in the name of every queue, and covered by every message's signature: no two stacks on one broker share a "
        "queue. The same for all programs of a stack: set it where they reach the databases by different addresses",
        allowed="1 to 64 letters, digits, `.`, `_` or `-`",
        check=lambda name: _STACK_NAME.fullmatch(name) or name == "",
        shown="`COUNTER_SOURCE` and a fingerprint of both databases' addresses",
    ),
    source=COUNTER_SOURCE,
    databases=DATABASES,
)
SYNC_QUEUE = _place.text(
    "SYNC_QUEUE",
    f"{STACK_NAME}.sync-orders",
    "name of the queue from counter to the desk",
    shown="`STACK_NAME.sync-orders`",
)
