"""A request's parameters: read by name and type, refused in Binance's words.

Every parameter that is sent must be read by somebody: a misspelt one is an error, never silently ignored.
"""

from __future__ import annotations

import re
from decimal import Decimal
from enum import StrEnum
from typing import TypeVar
from urllib.parse import parse_qsl

from tools.paper_venue.errors import (
    ApiError,
    DuplicateParameter,
    IllegalCharacters,
    InvalidSymbol,
    ParameterEmpty,
    ParameterMissing,
    ParametersUnread,
)
from tools.paper_venue.symbols import SYMBOLS, Symbol

DECIMAL = r"^([0-9]{1,20})(\.[0-9]{1,20})?$"
INTEGER = r"^[0-9]{1,20}$"
NAME = r"^[A-Z0-9-_.]{1,20}$"
CLIENT_ID = r"^[a-zA-Z0-9-_]{1,36}$"
FLAG = r"^(true|false|TRUE|FALSE)$"
SECURITY = frozenset({"timestamp", "recvWindow", "signature"})

Choice = TypeVar("Choice", bound=StrEnum)


class Params:
    """Parameters of one request; where query and body both carry one, the query counts."""

    def __init__(self, *, query: str, body: str) -> None:
        self._sent: dict[str, str] = {}
        for part in (query, body):
            seen: set[str] = set()
            for name, value in parse_qsl(part, keep_blank_values=True):
                if name in seen:
                    raise DuplicateParameter
                seen.add(name)
                self._sent.setdefault(name, value)
        self._read: set[str] = set()

    def has(self, name: str) -> bool:
        return name in self._sent

    def text(self, name: str, *, legal: str | None = None) -> str | None:
        """The value, or None if it was not sent.

        Raises: ParameterEmpty, IllegalCharacters.
        """
        value = self._sent.get(name)
        if value is None:
            return None
        self._read.add(name)
        if value == "":
            raise ParameterEmpty(name)
        if legal is not None and not re.fullmatch(legal.removeprefix("^").removesuffix("$"), value):
            raise IllegalCharacters(name=name, legal=legal)
        return value

    def required(self, name: str, *, legal: str | None = None) -> str:
        """Raises: ParameterMissing, ParameterEmpty, IllegalCharacters."""
        value = self.text(name, legal=legal)
        if value is None:
            raise ParameterMissing(name)
        return value

    def integer(self, name: str) -> int | None:
        value = self.text(name, legal=INTEGER)
        return None if value is None else int(value)

    def limit(self, *, default: int = 500, largest: int = 1000, name: str = "limit") -> int:
        """A page size between one and ``largest``."""
        value = self.integer(name)
        return default if value is None else max(1, min(value, largest))

    def decimal(self, name: str) -> Decimal | None:
        value = self.text(name, legal=DECIMAL)
        return None if value is None else Decimal(value)

    def choice(self, name: str, options: type[Choice], error: type[ApiError]) -> Choice | None:
        """Raises: the given error if the value is none of the options."""
        value = self.text(name)
        if value is None:
            return None
        try:
            return options(value)
        except ValueError:
            raise error from None

    def flag(self, name: str, *, default: bool = False) -> bool:
        value = self.text(name, legal=FLAG)
        return default if value is None else value.lower() == "true"

    def symbol(self) -> Symbol:
        """Raises: ParameterMissing, IllegalCharacters, InvalidSymbol."""
        return find_symbol(self.required("symbol", legal=NAME))

    def optional_symbol(self) -> Symbol | None:
        return self.symbol() if self.has("symbol") else None

    def finish(self) -> None:
        """Raises: ParametersUnread if something was sent that nobody read."""
        sent = self._sent.keys() - SECURITY
        if unread := sent - self._read:
            raise ParametersUnread(read=len(self._sent) - len(unread), sent=len(self._sent))


def find_symbol(name: str) -> Symbol:
    """Raises: InvalidSymbol."""
    symbol = SYMBOLS.get(name)
    if symbol is None:
        raise InvalidSymbol
    return symbol
