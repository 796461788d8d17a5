"""MACs of what travels through the broker: writing to a queue proves nothing.

A MAC (HMAC-SHA256) covers what a message is for, the stack's name and the exact bytes. Its keys are derived from the
keys of `SERVICE_KEY`, one for each purpose, so they are exchanged together with those. A genuine message that is sent
again keeps its MAC: the receiver has to take each once, or do no more than look at the database.
"""

import hashlib
import hmac
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from django.conf import settings

SYNC, TASK = "sync messages", "tasks"  # what a message is for
KEY_ID, MAC = "crossbook_key", "crossbook_mac"  # headers
_KEY_ID_DIGITS = 16
_KEY_BYTES = 32


class NotOurs(Exception):
    """A message that nobody has sent who has a key of this stack, or that was changed on its way."""


def mac_headers(body: bytes, *, purpose: str) -> dict[str, str]:
    """The headers that a message of these bytes is sent with."""
    key_id, key = next(iter(_keys(settings.SERVICE_KEY, purpose).items()))
    return {KEY_ID: key_id, MAC: _mac(key, purpose, body)}


def check_mac(body: bytes, headers: Mapping[str, Any], *, purpose: str) -> None:
    """Check that these bytes were sent by this stack, for this purpose, in constant time.

    Raises: NotOurs.
    """
    if not isinstance(headers, Mapping):
        raise NotOurs("it has no headers")
    key_id, mac = headers.get(KEY_ID), headers.get(MAC)
    if not isinstance(key_id, str) or not isinstance(mac, str):
        raise NotOurs("it is not signed")
    key = _keys(settings.SERVICE_KEY, purpose).get(key_id)
    if key is None:
        raise NotOurs(f"it is signed with a key that this stack has not: {key_id[:_KEY_ID_DIGITS]}")
    if not hmac.compare_digest(_mac(key, purpose, body).encode(), mac.encode(errors="replace")):
        raise NotOurs("it was changed, or sent by another stack: its signature does not fit")


def _mac(key: bytes, purpose: str, body: bytes) -> str:
    return hmac.digest(key, f"{purpose}\n{settings.STACK_NAME}\n".encode() + body, "sha256").hex()


@lru_cache(maxsize=8)
def _keys(given: str, purpose: str) -> dict[str, bytes]:
    """Keys of one purpose by their ids, which are fingerprints; the first one is signed with."""
    keys = [_derived(secret.strip().encode(), purpose) for secret in given.split(",") if secret.strip()]
    return {hashlib.sha256(key).hexdigest()[:_KEY_ID_DIGITS]: key for key in keys}


def _derived(secret: bytes, purpose: str) -> bytes:
    info = f"crossbook {purpose}".encode()
    return HKDF(algorithm=SHA256(), length=_KEY_BYTES, salt=None, info=info).derive(secret)
