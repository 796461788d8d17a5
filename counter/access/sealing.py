"""Keeping secrets that have to be read again, encrypted under `API_KEYS_SECRET`, each kind under a key of its own."""

from base64 import urlsafe_b64encode
from functools import lru_cache

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from django.conf import settings


class SecretUnreadable(Exception):
    """The secret was encrypted under none of the present `API_KEYS_SECRET`."""


def sealed(secret: str, *, kind: bytes) -> str:
    """A secret as it is kept."""
    return _cipher(settings.API_KEYS_SECRET, kind).encrypt(secret.encode()).decode()


def opened(encrypted: str, *, kind: bytes) -> str:
    """A secret that is kept.

    Raises: SecretUnreadable.
    """
    try:
        return _cipher(settings.API_KEYS_SECRET, kind).decrypt(encrypted.encode()).decode()
    except InvalidToken as error:
        raise SecretUnreadable from error


def sealed_anew(encrypted: str, *, kind: bytes, what: str) -> str:
    """The same secret under the first of `API_KEYS_SECRET`; nothing stays nothing.

    Raises: SecretUnreadable, with `what` it belongs to.
    """
    try:
        return encrypted and _cipher(settings.API_KEYS_SECRET, kind).rotate(encrypted.encode()).decode()
    except InvalidToken as error:
        raise SecretUnreadable(what) from error


@lru_cache(maxsize=16)
def _cipher(given: str, kind: bytes) -> MultiFernet:
    return MultiFernet([_fernet(each.strip(), kind) for each in given.split(",") if each.strip()])


def _fernet(key: str, kind: bytes) -> Fernet:
    derived = HKDF(algorithm=SHA256(), length=32, salt=None, info=kind).derive(key.encode())
    return Fernet(urlsafe_b64encode(derived))
