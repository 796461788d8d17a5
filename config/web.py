"""The web program. `python -m config.web --port N`.

SIGHUP replaces its processes one after another by such with the code of now.
"""

import os

from granian.constants import Interfaces, Loops, TaskImpl

from config.parallel import web_processes
from infra.http_server.lasting_sockets import (
    HTTP1,
    STOP_SECONDS,
    LastingSocketsServer,
    allow_connections,
    options_of,
)

# Connections that a process keeps: so many more than clients need that those who only hold them
# (`infra.http_server.connection_guard`) keep nobody out.
CONNECTIONS = 8192


def main() -> None:
    """Serve until SIGTERM."""
    parser = options_of("config.web", __doc__)
    parser.add_argument("--workers", type=int, default=web_processes(), help="processes")
    options = parser.parse_args()
    os.environ["UV_USE_IO_URING"] = "0"  # with it uvloop keeps a kernel thread polling, a third of a core
    LastingSocketsServer(
        "config.asgi:application",
        address=options.host,
        port=options.port,
        interface=Interfaces.ASGI,
        loop=Loops.uvloop,
        task_impl=TaskImpl.asyncio,  # each request in a context of its own, where its id is
        websockets=False,
        workers=options.workers,
        backlog=CONNECTIONS,
        backpressure=allow_connections(CONNECTIONS),
        http1_settings=HTTP1,
        workers_kill_timeout=STOP_SECONDS,
        respawn_failed_workers=True,
        respawn_interval=options.replace_after,
    ).serve()


if __name__ == "__main__":
    main()
