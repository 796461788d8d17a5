"""The prices program: listens to the venue's books for all processes of this machine. `python -m config.prices`.

It has no part in anything but freshness: while it is away, prices are asked for.
"""

import asyncio
import signal

from config.environment import load_settings


async def _listen() -> None:
    from django.conf import settings

    from infra.exchange.price_stream import PriceStream

    stream = PriceStream(
        client=settings.VENUE,
        url=settings.VENUE_URL,
        symbols=settings.COINS.values(),
        timeout_seconds=settings.VENUE_TIMEOUT_SECONDS,
    )
    listening = asyncio.create_task(stream.run())
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, listening.cancel)
    await asyncio.wait([listening])


def main() -> None:
    """Listen until SIGTERM."""
    load_settings()
    from infra.observability import logging as program_logging

    program_logging.configure()
    asyncio.run(_listen())


if __name__ == "__main__":
    main()
