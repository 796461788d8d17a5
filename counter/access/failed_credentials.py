"""Invalid credentials, counted by the address that they come from: above a limit each answer is delayed.

In memory and for each process: guessing becomes slow, and other clients of the same address are not locked out. The
more answers of an address are delayed, the longer: many connections guess little faster than a few.
"""

import asyncio
import time
from collections import Counter

AT_ONCE = 20
EVERY_SECONDS = 1.0  # one of them is given back
HELD_BACK_SECONDS = 2.0
SLOWER_WITH = 50  # held back: so many more, and it takes as long again
LONGEST_SECONDS = 10.0
MOST_ADDRESSES = 10_000


class FailedCredentials:
    """How many wrong credentials each address has sent of late."""

    def __init__(self) -> None:
        self._due_at: dict[str, float] = {}
        self._held: Counter[str] = Counter()

    async def hold_back(self, address: str) -> None:
        """Count one more, and wait for as long as its answer is to be held back."""
        if not self._is_too_many(address):
            return
        self._held[address] += 1
        try:
            times = 1 + self._held[address] // SLOWER_WITH
            await asyncio.sleep(min(HELD_BACK_SECONDS * times, LONGEST_SECONDS))
        finally:
            self._held[address] -= 1
            if not self._held[address]:
                del self._held[address]

    def _is_too_many(self, address: str) -> bool:
        now = time.monotonic()
        due_at = max(self._due_at.get(address, now), now) + EVERY_SECONDS
        if due_at - now > AT_ONCE * EVERY_SECONDS:
            return True
        if len(self._due_at) >= MOST_ADDRESSES:
            self._due_at = {of: due for of, due in self._due_at.items() if due > now}
        if len(self._due_at) < MOST_ADDRESSES:
            self._due_at[address] = due_at
        return False


failed_credentials = FailedCredentials()
