"""Variables of the environment: each is declared once, with its default, what it may hold and what it means.

environs reads and converts them, marshmallow's validators hold the bounds. What is declared here is what
`manage.py configuration` writes into docs/configuration.md. A secret may lie in a file that `NAME_FILE` names, as
Docker and Kubernetes mount them. An empty value counts as none.
"""

import os
import sys
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from decimal import ROUND_DOWN, Decimal
from ipaddress import ip_network
from typing import Any

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from environs import Env, EnvValidationError, FileAwareEnv, ValidationError, validate

from infra import lean_imports  # noqa: F401 - every program that loads Django begins with the settings

# (widened from, halted from), in the unit of what is measured.
Pair = tuple[Decimal, Decimal]
Check = Callable[[Any], Any]

FILE = "_FILE"
MOST_COUNTED = 1_000_000
OFF = "off"
ABSOLUTE = ("http://", "https://")


class SettingInvalid(ImproperlyConfigured):
    """What the environment says cannot be: one line, for the person who set it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Variable:
    """One row of the page; `default` and `allowed` as it shows them."""

    name: str
    default: str
    allowed: str
    meaning: str
    is_secret: bool = False


def load_settings() -> None:
    """Load Django's settings, or end the program with the line that says what is wrong with them."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    try:
        settings.INSTALLED_APPS  # noqa: B018 - the first use loads them
    except SettingInvalid as error:
        sys.exit(f"not started: {error}")


def is_given(name: str) -> bool:
    """Whether the environment has a value for it, or a file with one."""
    return bool(os.environ.get(name) or os.environ.get(name + FILE))


class Subject:
    """The variables of one heading of the page, in the order of their declaration.

    Each method declares one and returns its value. All raise SettingInvalid with one line: the variable, what
    it holds unless that is secret, and what is allowed. `default` is written as it would be in the environment;
    `shown` stands on the page in its place.
    """

    declared: list["Subject"] = []

    def __init__(self, title: str) -> None:
        self.title = title
        self.variables: list[Variable] = []
        Subject.declared.append(self)

    def text(
        self,
        name: str,
        default: str,
        meaning: str,
        *,
        allowed: str = "text",
        check: Check | None = None,
        shown: str | None = None,
    ) -> str:
        """Any text that passes `check`."""
        self._declare(name, default if shown is None else shown, allowed, meaning)
        return self._read(name, default, allowed, _variables.str, [check] if check else [])

    def secret(self, name: str, default: str, meaning: str, *, shown: str | None = None) -> str:
        """Text that no message shows, from the variable or from the file that `NAME_FILE` names."""
        self._declare(name, default if shown is None else shown, "*secret*", meaning, is_secret=True)
        return self._read(name, default, "a secret", _variables.str, [], is_secret=True)

    def choice(self, name: str, default: str, meaning: str, *, of: Collection[str]) -> str:
        """One of several words."""
        allowed = " or ".join(f"`{word}`" for word in of)
        return self.text(name, default, meaning, allowed=allowed, check=validate.OneOf(list(of)))

    def switch(self, name: str, default: str, meaning: str, *, shown: str | None = None) -> bool:
        """On (1) or off (0)."""
        check = validate.OneOf(["0", "1"])
        return self.text(name, default, meaning, allowed="0 or 1", check=check, shown=shown) == "1"

    def address(self, name: str, default: str, meaning: str, *, shown: str | None = None) -> str:
        """An absolute HTTP address, or an empty text where that is the default."""
        allowed = "`http://` or `https://`"
        return self.text(name, default, meaning, allowed=allowed, check=_is_absolute, shown=shown)

    def words(self, name: str, default: str, meaning: str, *, shown: str | None = None) -> list[str]:
        """Comma-separated texts; blank ones are left out."""
        return _split(self.text(name, default, meaning, allowed="comma-separated", shown=shown))

    def networks(self, name: str, meaning: str) -> list[str]:
        """Comma-separated networks in CIDR notation."""
        allowed = "networks, comma-separated: `192.0.2.0/24`"
        given = self.text(name, "", meaning, allowed=allowed, check=_are_networks, shown="none")
        return [str(ip_network(text)) for text in _split(given)]

    def named_addresses(self, name: str, meaning: str) -> list[tuple[str, str]]:
        """Comma-separated names, each with an address or a blank one: `kraken,binance=http://127.0.0.1:9001`."""
        allowed = "`NAME` or `NAME=http://...`, comma-separated"
        given = self.text(name, "", meaning, allowed=allowed, check=_are_named_addresses, shown="none")
        return [(key, address) for key, _, address in (entry.partition("=") for entry in _split(given))]

    def rate(
        self,
        name: str,
        default: str,
        meaning: str,
        *,
        least: Decimal = Decimal(0),
        least_name: str = "",
        below: Decimal = Decimal(1),
    ) -> Decimal:
        """A fraction in [`least`, `below`); `least_name` is the variable that `least` comes from, if it is one."""
        allowed = f"from {f'`{least_name}`' if least_name else f'{least:f}'} to below {below:f}"
        within = validate.Range(least, below, max_inclusive=False)
        return self._number(name, default, meaning, allowed, [within])

    def amount(self, name: str, default: str, meaning: str, *, unit: str = "USDT") -> Decimal:
        """An amount that is not negative."""
        return self._number(name, default, meaning, f"0 {unit} or more", [validate.Range(Decimal(0))])

    def whole(
        self,
        name: str,
        default: str,
        meaning: str,
        *,
        unit: str = "",
        least: int = 0,
        most: int | None = None,
    ) -> int:
        """A whole number from `least`, and to `most` if that is given."""
        bounds = f"{least} or more" if most is None else f"{least} to {most:,}"
        allowed = f"{bounds}, whole {unit}".rstrip()
        return int(self._number(name, default, meaning, allowed, [_is_whole, validate.Range(least, most)]))

    def count(self, name: str, default: str, meaning: str, *, shown: str | None = None) -> int:
        """A whole number from 1 to a million."""
        allowed = f"1 to {MOST_COUNTED:,}, whole"
        checks: list[Check] = [_is_whole, validate.Range(1, MOST_COUNTED)]
        return int(self._number(name, default, meaning, allowed, checks, shown=shown))

    def seconds(self, name: str, default: str, meaning: str, *, least: float = 0.0) -> float:
        """Seconds from `least` on."""
        return self._time(name, default, meaning, least, "s")

    def days(self, name: str, default: str, meaning: str) -> float:
        """Days from 0 on."""
        return self._time(name, default, meaning, 0.0, "days")

    def pair(
        self, widen: str, halt: str, defaults: tuple[str, str], meaning: str, *, unit: str = "s"
    ) -> Pair:
        """The two limits of one cause: the variable `widen` holds no more than `halt`."""
        first, second = (
            self.amount(name, default, meaning.format(what), unit=unit)
            for name, default, what in zip((widen, halt), defaults, ("widened", "halted"), strict=True)
        )
        return _ordered(widen, halt, first, second)

    def pairs_by_coin(
        self, widen: str, halt: str, defaults: tuple[str, str], coins: Iterable[str], meaning: str
    ) -> dict[str, Pair]:
        """The same for each coin: a variable holds one number for all coins, or `BTC=1,ETH=2`."""
        coins = list(coins)
        allowed = f"0 USDT or more, for all coins or `{','.join(f'{coin}=1' for coin in coins)}`"
        first, second = (
            _by_coin(
                self.text(
                    name,
                    default,
                    meaning.format(what),
                    allowed=allowed,
                    check=lambda text: _by_coin(text, coins),
                ),
                coins,
            )
            for name, default, what in zip((widen, halt), defaults, ("widened", "halted"), strict=True)
        )
        return {coin: _ordered(widen, halt, first[coin], second[coin]) for coin in coins}

    def pairs_by_coin_or_off(
        self, widen: str, halt: str, coins: Iterable[str], meaning: str
    ) -> dict[str, Pair]:
        """The same where a coin may have no limits, which is the default: `off`, or `BTC=1,ETH=off`."""
        coins = list(coins)
        allowed = f"`off` or USDT, for all coins or `{','.join(f'{coin}=1' for coin in coins)}`"
        first, second = (
            _by_coin_or_off(
                self.text(
                    name,
                    OFF,
                    meaning.format(what),
                    allowed=allowed,
                    check=lambda text: _by_coin_or_off(text, coins),
                ),
                coins,
            )
            for name, what in ((widen, "widened"), (halt, "halted"))
        )
        if first.keys() != second.keys():
            raise SettingInvalid(f"{widen} and {halt} have to be off for the same coins")
        return {coin: _ordered(widen, halt, first[coin], second[coin]) for coin in first}

    def _declare(
        self, name: str, default: str, allowed: str, meaning: str, *, is_secret: bool = False
    ) -> None:
        self.variables.append(
            Variable(name=name, default=default, allowed=allowed, meaning=meaning, is_secret=is_secret)
        )

    def _number(
        self,
        name: str,
        default: str,
        meaning: str,
        allowed: str,
        checks: Sequence[Check],
        *,
        shown: str | None = None,
    ) -> Decimal:
        self._declare(name, default if shown is None else shown, allowed, meaning)
        return self._read(name, Decimal(default), allowed, _variables.decimal, checks)

    def _time(self, name: str, default: str, meaning: str, least: float, unit: str) -> float:
        allowed = f"{least:g} {unit} or more"
        return float(self._number(name, default, meaning, allowed, [validate.Range(Decimal(str(least)))]))

    def _read(
        self,
        name: str,
        default: Any,
        allowed: str,
        method: Callable[..., Any],
        checks: Sequence[Check],
        *,
        is_secret: bool = False,
    ) -> Any:
        """The given value, or the default, which has to keep to the bounds of other variables as well."""
        from_file = os.environ.get(name + FILE)
        if from_file and not is_secret:
            raise SettingInvalid(f"{name}{FILE} is set, but {name} is no secret: only secrets lie in files")
        if from_file and os.environ.get(name):
            raise SettingInvalid(f"{name} and {name}{FILE} are both set: one of them has to go")
        try:
            if from_file:
                text: str = _files.str(name)
                if not text:
                    raise SettingInvalid(f"{name}{FILE}: {from_file} is empty")
                return text
            if os.environ.get(name):
                return method(name, validate=list(checks))
            for check in checks:
                check(default)
        except (EnvValidationError, ValidationError):
            held = os.environ.get(name) or f"by default {default}"
            raise SettingInvalid(f"{name} is {held}; allowed: {allowed}") from None
        except ValueError:  # of the file: it is missing, unreadable or no text
            raise SettingInvalid(f"{name}{FILE}: cannot read {from_file}") from None
        return default


_variables = Env()
_files = FileAwareEnv(file_suffix=FILE, strip_whitespace=True)


def _split(text: str) -> list[str]:
    return [word.strip() for word in text.split(",") if word.strip()]


def _is_whole(value: Decimal) -> None:
    if value != value.to_integral_value(ROUND_DOWN):
        raise ValidationError("not whole")


def _is_absolute(text: str) -> None:
    if text and not text.startswith(ABSOLUTE):
        raise ValidationError("no address")


def _are_networks(text: str) -> None:
    try:
        for word in _split(text):
            ip_network(word)
    except ValueError as error:
        raise ValidationError(str(error)) from error


def _are_named_addresses(text: str) -> None:
    for entry in _split(text):
        key, equals, address = entry.partition("=")
        if not key or (equals and not address.startswith(ABSOLUTE)):
            raise ValidationError(entry)


def _parts(text: str) -> dict[str, str]:
    """What is said of each coin, nothing if one number is for all: `BTC=1,000` is neither."""
    if "=" not in text:
        return {}
    try:
        return dict(part.split("=") for part in _split(text))
    except ValueError as error:
        raise ValidationError(text) from error


def _by_coin(text: str, coins: Sequence[str]) -> dict[str, Decimal]:
    parts = _parts(text)
    try:
        found = {coin: Decimal(parts[coin] if parts else text) for coin in coins}
    except (ArithmeticError, KeyError) as error:
        raise ValidationError(text) from error
    if not all(value.is_finite() and value >= 0 for value in found.values()):
        raise ValidationError(text)
    return found


def _by_coin_or_off(text: str, coins: Sequence[str]) -> dict[str, Decimal]:
    """The coins that have a limit."""
    parts = _parts(text)
    limited = [coin for coin in coins if parts.get(coin, OFF if parts else text) != OFF]
    if not parts.keys() <= set(coins):
        raise ValidationError(text)
    return _by_coin(text, limited)


def _ordered(widen: str, halt: str, first: Decimal, second: Decimal) -> Pair:
    if first > second:
        raise SettingInvalid(f"{widen} ({first}) has to be no more than {halt} ({second})")
    return first, second
