"""The command line of a paper venue, read into its settings."""

from __future__ import annotations

import argparse
import os
from collections.abc import Mapping, Sequence
from decimal import Decimal, InvalidOperation
from pathlib import Path

from tools.paper_venue.commission import Commission
from tools.paper_venue.limits import LimitSettings
from tools.paper_venue.market import DepthShape
from tools.paper_venue.prices.random_walk import WalkShape
from tools.paper_venue.prices.sources import PriceSettings
from tools.paper_venue.prices.timeline import AtEnd
from tools.paper_venue.records import Wallet
from tools.paper_venue.signing import Credentials
from tools.paper_venue.state import ORDERS_KEPT
from tools.paper_venue.streams.connection import ConnectionSettings
from tools.paper_venue.symbols import ASSETS, SYMBOLS
from tools.paper_venue.venue import DEFAULT_CREDENTIALS, DEFAULT_FUNDS, Settings


def parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tools.paper_venue",
        description="A trading venue on this machine that speaks Binance Spot's REST dialect.",
    )
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0, help="0, the default, takes a free one and prints it")
    parser.add_argument(
        "--check", action="store_true", help="read the recordings, say what is wrong, and end"
    )
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument(
        "--latency-ms", type=_natural, default=0, help="wait this long before each request is executed"
    )
    parser.add_argument("--latency-jitter-ms", type=_natural, default=0)
    _add_accounts(parser.add_argument_group("accounts"))
    _add_journal(parser.add_argument_group("journal"))
    _add_prices(parser.add_argument_group("prices"))
    _add_book(parser.add_argument_group("book and commission"))
    _add_limits(parser.add_argument_group("limits"))
    _add_streams(parser.add_argument_group("streams"))
    return parser


def _add_accounts(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--account",
        action="append",
        type=_credentials,
        default=[],
        metavar="NAME:KEY:SECRET",
        help="may be repeated; without it one account, with VENUE_API_KEY and VENUE_API_SECRET or "
        f"{DEFAULT_CREDENTIALS.key}/{DEFAULT_CREDENTIALS.secret}",
    )
    group.add_argument(
        "--fund",
        action="append",
        type=_funds,
        default=[],
        metavar="WALLET:ASSET=AMOUNT",
        help="an opening balance instead of the default one, e.g. SPOT:USDT=1000; used at first start only",
    )


def _add_journal(group: argparse._ArgumentGroup) -> None:
    group.add_argument("--journal", type=Path, help="file to append to and start again from")
    group.add_argument("--fsync", action="store_true", help="wait for the disk before answering")
    group.add_argument(
        "--orders-kept", type=_positive, default=ORDERS_KEPT, help="closed orders kept in memory"
    )


def _add_prices(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--market-data",
        action="extend",
        nargs="+",
        default=None,
        metavar="FILE",
        help="recorded candles, trades or book tickers to replay; may be repeated; default MARKET_DATA",
    )
    group.add_argument(
        "--speed", type=_decimal, help="recorded seconds a second: default 60 for candles alone, else 1"
    )
    group.add_argument("--start", help="begin, largest-move (default for candles) or a recorded time in ms")
    group.add_argument("--at-end", type=AtEnd, choices=list(AtEnd), default=AtEnd.LOOP)
    group.add_argument(
        "--start-price", action="append", type=_start_price, default=[], metavar="SYMBOL=PRICE"
    )
    walk = WalkShape()
    group.add_argument(
        "--volatility", type=_decimal, default=walk.annual_volatility, help="a year, as fraction"
    )
    group.add_argument("--jumps-per-hour", type=_decimal, default=walk.jumps_per_hour)
    group.add_argument("--jump-volatility", type=_decimal, default=walk.jump_volatility)
    group.add_argument("--spread-bps", type=_decimal, default=walk.spread_bps)


def _add_book(group: argparse._ArgumentGroup) -> None:
    depth, commission = DepthShape(), Commission()
    group.add_argument("--depth-usdt", type=_decimal, default=depth.best_usdt, help="value at the best price")
    group.add_argument("--depth-levels", type=_positive, default=depth.levels)
    group.add_argument("--refill-seconds", type=_decimal, default=depth.refill_seconds)
    group.add_argument("--commission", type=_decimal, help="maker and taker rate at once")
    group.add_argument("--maker-commission", type=_decimal, default=commission.maker)
    group.add_argument("--taker-commission", type=_decimal, default=commission.taker)


def _add_limits(group: argparse._ArgumentGroup) -> None:
    limits = LimitSettings()
    group.add_argument("--weight-per-minute", type=_positive, default=limits.weight_per_minute)
    group.add_argument("--sapi-weight-per-minute", type=_positive, default=limits.sapi_weight_per_minute)
    group.add_argument("--orders-per-10s", type=_positive, default=limits.orders_per_10s)
    group.add_argument("--orders-per-day", type=_positive, default=limits.orders_per_day)
    group.add_argument("--ban-after", type=_natural, default=limits.warnings, help="refusals before a ban")
    group.add_argument("--ban-seconds", type=_positive, default=limits.ban_seconds)


def _add_streams(group: argparse._ArgumentGroup) -> None:
    usual = ConnectionSettings()
    group.add_argument(
        "--push-every-ms", type=_positive, default=usual.push_every_ms, help="how often prices are looked at"
    )
    group.add_argument("--ping-every-seconds", type=_positive, default=usual.ping_every_seconds)
    group.add_argument("--pong-within-seconds", type=_positive, default=usual.pong_within_seconds)
    group.add_argument(
        "--stream-seconds", type=_positive, default=usual.lives_for_seconds, help="age at which one is closed"
    )
    group.add_argument("--connections-per-5m", type=_positive, default=usual.connections_per_5m)


def read_settings(options: argparse.Namespace, *, environment: Mapping[str, str] = os.environ) -> Settings:
    market_data = options.market_data
    if market_data is None:
        market_data = [environment.get("MARKET_DATA", "")]
    return Settings(
        credentials=tuple(options.account) or (_default_credentials(environment),),
        funds={**DEFAULT_FUNDS, **dict(options.fund)},
        prices=PriceSettings(
            walk=WalkShape(
                annual_volatility=options.volatility,
                jumps_per_hour=options.jumps_per_hour,
                jump_volatility=options.jump_volatility,
                spread_bps=options.spread_bps,
            ),
            start_prices=dict(options.start_price),
            market_data=tuple(Path(name) for name in _names(market_data)),
            speed=options.speed,
            start=options.start,
            at_end=options.at_end,
        ),
        depth=DepthShape(
            levels=options.depth_levels, best_usdt=options.depth_usdt, refill_seconds=options.refill_seconds
        ),
        commission=Commission(
            maker=options.maker_commission if options.commission is None else options.commission,
            taker=options.taker_commission if options.commission is None else options.commission,
        ),
        limits=LimitSettings(
            weight_per_minute=options.weight_per_minute,
            sapi_weight_per_minute=options.sapi_weight_per_minute,
            orders_per_10s=options.orders_per_10s,
            orders_per_day=options.orders_per_day,
            warnings=options.ban_after,
            ban_seconds=options.ban_seconds,
        ),
        seed=options.seed,
        journal=options.journal,
        with_fsync=options.fsync,
        orders_kept=options.orders_kept,
        latency_ms=options.latency_ms,
        latency_jitter_ms=options.latency_jitter_ms,
        connections=ConnectionSettings(
            ping_every_seconds=options.ping_every_seconds,
            pong_within_seconds=options.pong_within_seconds,
            lives_for_seconds=options.stream_seconds,
            connections_per_5m=options.connections_per_5m,
            push_every_ms=options.push_every_ms,
        ),
    )


def _default_credentials(environment: Mapping[str, str]) -> Credentials:
    return Credentials(
        DEFAULT_CREDENTIALS.account,
        environment.get("VENUE_API_KEY") or DEFAULT_CREDENTIALS.key,
        environment.get("VENUE_API_SECRET") or DEFAULT_CREDENTIALS.secret,
    )


def _names(listed: Sequence[str]) -> list[str]:
    return [name for item in listed for name in item.split(",") if name]


def _decimal(value: str) -> Decimal:
    try:
        number = Decimal(value)
    except InvalidOperation:
        raise argparse.ArgumentTypeError(f"{value!r} is no number") from None
    if not number.is_finite() or number < 0:
        raise argparse.ArgumentTypeError(f"{value!r} is below zero")
    return number


def _natural(value: str) -> int:
    number = int(value)
    if number < 0:
        raise argparse.ArgumentTypeError(f"{value} is below zero")
    return number


def _positive(value: str) -> int:
    number = int(value)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{value} is below one")
    return number


def _credentials(value: str) -> Credentials:
    parts = value.split(":")
    if len(parts) != 3 or not all(parts):
        raise argparse.ArgumentTypeError("wanted: NAME:KEY:SECRET")
    return Credentials(*parts)


def _funds(value: str) -> tuple[tuple[Wallet, str], Decimal]:
    place, _, amount = value.partition("=")
    wallet, _, asset = place.partition(":")
    if wallet not in list(Wallet) or asset not in ASSETS:
        raise argparse.ArgumentTypeError(f"wanted: {'|'.join(Wallet)}:{'|'.join(ASSETS)}=AMOUNT")
    return (Wallet(wallet), asset), _decimal(amount)


def _start_price(value: str) -> tuple[str, Decimal]:
    symbol, _, price = value.partition("=")
    if symbol not in SYMBOLS or _decimal(price) < SYMBOLS[symbol].tick:
        raise argparse.ArgumentTypeError(f"wanted: {'|'.join(SYMBOLS)}=PRICE")
    return symbol, _decimal(price)
