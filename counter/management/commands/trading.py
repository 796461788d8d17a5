"""`manage.py trading`: throw a kill switch, pace a coin, charge for size, or say how it is, without the admin."""

from argparse import ArgumentTypeError
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from counter.models import TradingSwitchChange
from counter.models.switches import ALL_COINS
from counter.pricing.impact import Depths
from counter.trading.depths import DepthRefused, change_depths, depth_text, read_books
from counter.trading.pacing import PacingRefused, set_paced, unpaced
from counter.trading.resume_requests import approvers, waiting_requests
from counter.trading.status import newest_index
from counter.trading.switches import State, SwitchRefused, standing_change, stopped, throw
from counter.trading.taking_back import take_back, taken_back_until, why_not
from infra.console import console_user
from infra.coordination import clock
from ledger.decimals import product

ALL = "all"


class Command(BaseCommand):
    """Door to `counter.trading.switches`, `counter.trading.pacing` and `counter.trading.depths`."""

    help = (
        "Stop trading in a coin or in all, resume it, admit all orders or as many as are settled, charge for size, "
        "or show how it is."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        steps = parser.add_subparsers(dest="step", required=True)
        steps.add_parser("show", help="which switches are thrown, by whom and why")
        for step, text in (
            ("stop", "stop opens"),
            ("take-back", "take back a stop of your own"),
            ("resume", "resume trading"),
        ):
            command = steps.add_parser(step, help=text)
            command.add_argument("coin", choices=[*settings.COINS, ALL])
            command.add_argument("--reason", required=True)
            if step == "stop":
                command.add_argument("--closes", action="store_true", help="stop closes too")
            if step == "resume":
                command.add_argument("--closes", action="store_true", help="closes only: opens stay stopped")
        for step, text in (("pace", "admit what the desk settles"), ("unpace", "admit all, though it waits")):
            command = steps.add_parser(step, help=text)
            command.add_argument("coin", choices=settings.COINS)
            command.add_argument("--reason", required=True)
        command = steps.add_parser(
            "size", help="charge for an order's size; what is not named stays as it is"
        )
        command.add_argument("coin", choices=settings.COINS)
        for name in Depths._fields:
            command.add_argument(f"--{name}", type=_usdt, metavar="USDT", help="0 or none charges nothing")
        command.add_argument(
            "--far-below", action="store_true", help="less than a tenth of what is in force is meant"
        )
        command.add_argument("--reason", required=True)

    def handle(self, *args: Any, **options: Any) -> None:
        by = f"{console_user()} at the console"
        try:
            is_new = self._change(by, options)
        except (SwitchRefused, PacingRefused, DepthRefused) as refusal:
            raise CommandError(str(refusal)) from refusal
        if not is_new:
            self.stdout.write("It was so already.")
        self._show()

    def _change(self, by: str, options: dict[str, Any]) -> bool:
        step, coin, now = options["step"], str(options.get("coin")), clock.of("default").now()
        if step == "show":
            return True
        if step in ("pace", "unpace"):
            return set_paced(underlying=coin, paced=step == "pace", reason=options["reason"], by=by, now=now)
        if step == "size":
            return self._set_depths(coin, by, options, now)
        underlying = ALL_COINS if coin == ALL else coin
        if step == "take-back":
            return _take_back(underlying, options["reason"], by, now)
        return _throw(underlying, by, options, now)

    def _set_depths(self, coin: str, by: str, options: dict[str, Any], now: datetime) -> bool:
        named = {name: options[name] for name in Depths._fields if options[name] is not None}
        if not named:
            raise CommandError(f"name a depth: {', '.join(f'--{name}' for name in Depths._fields)}")
        done = change_depths(
            underlying=coin,
            to=named,
            reason=options["reason"],
            by=by,
            now=now,
            far_below=options["far_below"],
        )
        if done.is_changed:
            self.stdout.write(f"{done}.")
        return done.is_changed

    def _show(self) -> None:
        switches, now = stopped(), clock.of("default").now()
        requests = waiting_requests(switches)
        for underlying, switch in switches.items():
            self.stdout.write(
                f"{switch}: {switch.get_state_display().lower()}, since {switch.since.isoformat()}, "
                f"by {switch.by}: {switch.reason}"
            )
            if change := standing_change(underlying):
                self.stdout.write(f"  {_way_back(change, now)}")
            for asked in requests.get(underlying, ()):
                self.stdout.write(f"  {asked.by} asks to resume: {asked.reason}")
        if not switches:
            self.stdout.write("Nothing is stopped.")
        for coin in unpaced():
            self.stdout.write(f"Of {coin} everything is admitted, however far the desk is behind.")
        for coin, book in read_books().items():
            index = newest_index(coin, now=now)
            parts = zip(Depths._fields, book.depths, book.at, strict=True)
            texts = [_standing(name, at, depth, index) for name, depth, at in parts if depth]
            self.stdout.write(f"{coin} charges for size: {', '.join(texts)}.")


def _throw(underlying: str, by: str, options: dict[str, Any], now: datetime) -> bool:
    """Stop or resume; a stop lets nothing go on that is stopped already, and resuming stops nothing."""
    is_stop, closes = options["step"] == "stop", options["closes"]
    if is_stop:
        to = State.ALL_STOPPED if closes else State.OPENS_STOPPED
    else:
        to = State.OPENS_STOPPED if closes else State.RUNNING
        switch = stopped().get(underlying)
        if closes and (switch is None or switch.state != State.ALL_STOPPED):
            raise CommandError("closes are not stopped")
    return throw(
        underlying=underlying,
        to=to,
        reason=options["reason"],
        by=by,
        now=now,
        seen=State.ALL_STOPPED if closes and not is_stop else None,
        after=0 if is_stop else None,
    )


def _take_back(underlying: str, reason: str, by: str, now: datetime) -> bool:
    """Take back the stop that stands; whether there was one."""
    stop = standing_change(underlying)
    if stop is None or not stop.is_stop:
        raise CommandError("there is no stop to take back")
    return take_back(stop_id=stop.pk, reason=reason, by=by, now=now)


def _way_back(stop: TradingSwitchChange, now: datetime) -> str:
    """Who may end what is stopped."""
    people = ", ".join(approvers()) or "nobody"
    approved = f"approvers in the admin ({people}), or resume here"
    if refusal := why_not(stop, by=stop.by, now=now, is_said_to_them=False):
        return f"ended by {approved}; not taken back alone: {refusal}"
    return f"taken back by {stop.by} alone until {taken_back_until(stop):%H:%M:%S} UTC; ended by {approved}"


def _standing(name: str, at: Decimal, depth: Decimal, index: Decimal | None) -> str:
    """Where a measure stands: delta and premiums in coin and, at the index, in USDT; vega in USDT."""
    usdt = at if name == "vega" else index and product(at, index)
    where = [] if name == "vega" else [f"{at:,.4f} coin"]
    where += [f"{usdt:,.0f} USDT"] if usdt is not None else []
    return f"{name} {', '.join(where)} (depth {depth_text(depth)})"


def _usdt(text: str) -> Decimal:
    """A depth as it is typed."""
    if text == "none":
        return Decimal(0)
    try:
        return Decimal(text)
    except InvalidOperation as error:
        raise ArgumentTypeError(f"{text} is no number of USDT, nor none") from error
