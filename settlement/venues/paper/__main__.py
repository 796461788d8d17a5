"""``python -m settlement.venues.paper``: run one paper venue until it is told to stop."""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import os
import signal
import sys
from decimal import Decimal
from pathlib import Path

from aiohttp import web

from settlement.venues.paper.engine import Commission
from settlement.venues.paper.limits import LimitSettings
from settlement.venues.paper.records import Wallet
from settlement.venues.paper.rest.app import make_app
from settlement.venues.paper.signing import Credentials
from settlement.venues.paper.symbols import ASSETS
from settlement.venues.paper.venue import DEFAULT_CREDENTIALS, DEFAULT_FUNDS, Settings, Venue

SHUTDOWN_SECONDS = 1.0


def main(arguments: list[str] | None = None) -> int:
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    options = parser().parse_args(arguments)
    asyncio.run(run(settings_of(options), host=options.host, port=options.port))
    return 0


def parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m settlement.venues.paper", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, required=True, help="0 takes a free one")
    parser.add_argument("--journal", type=Path)
    parser.add_argument("--fsync", action="store_true")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--market-data", action="append", default=[])
    parser.add_argument("--speed", type=Decimal)
    parser.add_argument("--fund", action="append", default=[], help="SPOT:USDT=1000")
    parser.add_argument("--commission", type=Decimal, default=Commission().taker)
    parser.add_argument("--latency-ms", type=int, default=0)
    parser.add_argument("--orders-per-10s", type=int, default=LimitSettings().orders_per_10s)
    parser.add_argument("--weight-per-minute", type=int, default=LimitSettings().weight_per_minute)
    return parser


def settings_of(options: argparse.Namespace) -> Settings:
    key = os.environ.get("VENUE_API_KEY") or DEFAULT_CREDENTIALS.key
    secret = os.environ.get("VENUE_API_SECRET") or DEFAULT_CREDENTIALS.secret
    funds = dict(DEFAULT_FUNDS)
    for item in options.fund:
        place, _, amount = item.partition("=")
        wallet, _, asset = place.partition(":")
        assert asset in ASSETS
        funds[(Wallet(wallet), asset)] = Decimal(amount)
    return Settings(
        credentials=(Credentials(DEFAULT_CREDENTIALS.account, key, secret),),
        funds=funds,
        seed=options.seed,
        commission=Commission(options.commission, options.commission),
        limits=LimitSettings(
            weight_per_minute=options.weight_per_minute, orders_per_10s=options.orders_per_10s
        ),
        journal=options.journal,
        with_fsync=options.fsync,
        latency_ms=options.latency_ms,
    )


async def run(settings: Settings, *, host: str, port: int) -> None:
    stopping = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    runner = web.AppRunner(make_app(Venue(settings)), access_log=None, shutdown_timeout=SHUTDOWN_SECONDS)
    await runner.setup()
    try:
        site = web.TCPSite(runner, host, port)
        await site.start()
        address = runner.addresses[0]
        line = {"event": "venue_started", "url": f"http://{address[0]}:{address[1]}", "pid": os.getpid()}
        print(json.dumps(line), flush=True)
        await stopping.wait()
    finally:
        await runner.cleanup()


if __name__ == "__main__":
    sys.exit(main())
