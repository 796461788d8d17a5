"""Passwords are hashed on one thread of low priority: half a second of a core each, beside orders of a millisecond.

Logins wait for each other; orders do not wait for them, however many passwords are guessed.
"""

import os
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import cache

from django.contrib.auth.hashers import PBKDF2PasswordHasher

LOWEST_PRIORITY = 19


class UnhurriedPBKDF2(PBKDF2PasswordHasher):
    """Django's own hash, made where it is in nobody's way."""

    def encode(self, password: str, salt: str, iterations: int | None = None) -> str:
        """The hash of a password."""
        return _thread(os.getpid()).submit(super().encode, password, salt, iterations).result()


@cache
def _thread(process: int) -> ThreadPoolExecutor:
    """The one of this process: a fork has none of its parent's threads."""
    return ThreadPoolExecutor(1, thread_name_prefix="passwords", initializer=_yield_to_others)


def _yield_to_others() -> None:
    with suppress(OSError, AttributeError):  # a system that knows no priority of a thread
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), LOWEST_PRIORITY)
