"""Listen keys: names of accounts' own streams, good for an hour after they were made or asked for last."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass

VALID_MS = 60 * 60_000


@dataclass(slots=True)
class _Key:
    account: str
    until_ms: int


class ListenKeys:
    """One for each account at a time."""

    def __init__(self, *, clock_ms: Callable[[], int]) -> None:
        self._clock_ms = clock_ms
        self._keys: dict[str, _Key] = {}

    def open(self, account: str) -> str:
        """The account's key, a new one unless it has one that is still good."""
        self._drop_old()
        name = next((name for name, key in self._keys.items() if key.account == account), None)
        if name is None:
            name = secrets.token_hex(32)
        self._keys[name] = _Key(account, self._clock_ms() + VALID_MS)
        return name

    def account_of(self, name: str) -> str | None:
        """Whose key that is; None if it is none, or not good any more."""
        self._drop_old()
        key = self._keys.get(name)
        return None if key is None else key.account

    def prolong(self, name: str, account: str) -> bool:
        """Keep it for another hour; whether there was such a key of this account."""
        if self.account_of(name) != account:
            return False
        self._keys[name].until_ms = self._clock_ms() + VALID_MS
        return True

    def close(self, name: str, account: str) -> bool:
        """Let it go; whether there was such a key of this account."""
        if self.account_of(name) != account:
            return False
        del self._keys[name]
        return True

    def _drop_old(self) -> None:
        now_ms = self._clock_ms()
        self._keys = {name: key for name, key in self._keys.items() if key.until_ms > now_ms}
