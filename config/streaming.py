"""The stream program: idle listeners by the thousand, away from the orders. `python -m config.streaming --port N`.

One process serves them; SIGHUP replaces it as it does those of the web program, and its listeners come again.
"""

from granian.constants import Interfaces, Loops, TaskImpl

from infra.http_server.lasting_sockets import (
    HTTP1,
    STOP_SECONDS,
    LastingSocketsServer,
    allow_connections,
    options_of,
)

# Connections: more than it takes listeners, so that it is the program that says no.
BACKLOG = 8192


def main() -> None:
    """Serve until SIGTERM."""
    options = options_of("config.streaming", __doc__).parse_args()
    LastingSocketsServer(
        "config.streaming_asgi:application",
        address=options.host,
        port=options.port,
        interface=Interfaces.ASGI,
        loop=Loops.asyncio,  # its listeners wait; uvloop is for the many short requests of `config.web`
        task_impl=TaskImpl.asyncio,  # each request in a context of its own, where its id is
        websockets=False,
        workers=1,
        backlog=BACKLOG,
        backpressure=allow_connections(BACKLOG),
        http1_settings=HTTP1,
        workers_kill_timeout=STOP_SECONDS,
        respawn_failed_workers=True,
        respawn_interval=options.replace_after,
    ).serve()


if __name__ == "__main__":
    main()
