"""The stream program: idle listeners by the thousand, away from the orders. `python -m config.streaming --port N`.

One process serves them; SIGHUP replaces it as it does those of the web program, and its listeners come again.
"""

import argparse
import resource

from granian.constants import Interfaces, Loops

from config.web import REPLACE_AFTER_SECONDS, STOP_SECONDS, LastingSocketsServer

# Connections: more than it takes listeners, so that it is the program that says no.
BACKLOG = 8192


def main() -> None:
    """Serve until SIGTERM."""
    parser = argparse.ArgumentParser(prog="python -m config.streaming", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, required=True)
    options = parser.parse_args()
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    LastingSocketsServer(
        "config.streaming_asgi:application",
        address=options.host,
        port=options.port,
        interface=Interfaces.ASGI,
        loop=Loops.asyncio,  # its listeners wait; uvloop is for the many short requests of `config.web`
        websockets=False,
        workers=1,
        backlog=BACKLOG,
        backpressure=BACKLOG,
        workers_kill_timeout=STOP_SECONDS,
        respawn_failed_workers=True,
        respawn_interval=REPLACE_AFTER_SECONDS,
    ).serve()


if __name__ == "__main__":
    main()
