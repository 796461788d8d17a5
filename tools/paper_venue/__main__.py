"""``python -m tools.paper_venue``: run one paper venue until it is told to stop."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import signal
import sys
from collections.abc import Sequence

from aiohttp import web

from tools.paper_venue.journal import JournalError
from tools.paper_venue.options import parser, read_settings
from tools.paper_venue.prices.recording import RecordingError
from tools.paper_venue.prices.sources import PriceSources
from tools.paper_venue.rest.app import make_app
from tools.paper_venue.symbols import SYMBOLS
from tools.paper_venue.venue import Settings, Venue

SHUTDOWN_SECONDS = 1.0
USAGE_ERROR = 2


def main(arguments: Sequence[str] | None = None) -> int:
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    options = parser().parse_args(arguments)
    try:
        if options.check:
            check(read_settings(options))
            return 0
        asyncio.run(run(read_settings(options), host=options.host, port=options.port))
    except (JournalError, RecordingError, OSError) as error:
        cause = " ".join(str(error).split())
        sys.stderr.write(f"paper venue: {type(error).__name__}: {cause}\n")
        return USAGE_ERROR
    return 0


def check(settings: Settings) -> None:
    """Read the recordings whole and see whether they can be played together. Raises: RecordingError, OSError."""
    sources = PriceSources(settings.prices, seed=settings.seed)
    for symbol in SYMBOLS.values():
        sources.source(symbol=symbol, marked_price=None, anchor_ms=0, now_ms=0)


async def run(settings: Settings, *, host: str, port: int) -> None:
    """Serve until SIGTERM or SIGINT; one line of JSON on stdout tells the address once requests are taken.

    Raises: JournalError, RecordingError, OSError.
    """
    stopping = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    runner = web.AppRunner(make_app(Venue(settings)), access_log=None, shutdown_timeout=SHUTDOWN_SECONDS)
    await runner.setup()
    try:
        await web.TCPSite(runner, host, port).start()
        sys.stdout.write(_start_line(runner) + "\n")
        sys.stdout.flush()
        await stopping.wait()
    finally:
        await runner.cleanup()


def _start_line(runner: web.AppRunner) -> str:
    host, port = runner.addresses[0][:2]
    return json.dumps({"event": "venue_started", "url": f"http://{host}:{port}", "pid": os.getpid()})


if __name__ == "__main__":
    sys.exit(main())
