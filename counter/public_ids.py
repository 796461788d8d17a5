"""Ids as customers see them: sequential in the database, opaque outside, so that none tells how many there are.

An id is one block of AES under `PUBLIC_IDS_KEY`, eight bytes for its kind and eight for the number, in hex after the
kind's prefix. Nothing is stored, every number has one id of each kind, and who does not have the key can neither read
an id nor make one: of 2^64 invented ids one reads as a row. Ids outlive releases: a test holds known answers.
"""

import re
import struct
import threading
from collections.abc import Callable
from enum import StrEnum

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from django.conf import settings

NOBODYS = 0  # rows are numbered from 1
MAX_ROW_ID = 2**63 - 1
DIGITS = 32
_DERIVED_FOR = b"crossbook public ids"
_BLOCK = struct.Struct(">8sQ")
Change = Callable[[bytes], bytes]


class Kind(StrEnum):
    """What an id is of, by its prefix. An id of one kind is none of another, of the same number too."""

    ORDER = "ord"
    POSITION = "pos"
    FIRM_QUOTE = "quo"
    LEDGER_ENTRY = "ent"
    WITHDRAWAL = "wdr"
    STREAM_MARK = "mrk"

    def __init__(self, name: str) -> None:
        # Attributes, for an order's answer has three ids: those of the enum itself are asked for by calls.
        self.prefix = f"{name}_"
        self.tag = name.encode().ljust(8, b"\0")
        self.written = re.compile(rf"{name}_[0-9a-f]{{{DIGITS}}}")


class NoPublicId(ValueError):
    """A text that is not written as an id of its kind."""


def pattern(kind: Kind) -> str:
    """The regular expression of a kind's ids, as messages and the schema have it."""
    return rf"^{kind.written.pattern}(?!\n)$"


class PublicIds:
    """Public ids under one key."""

    def __init__(self, key: str) -> None:
        derived = HKDF(algorithm=SHA256(), length=32, salt=None, info=_DERIVED_FOR).derive(key.encode())
        # Always one block: ECB is the bare permutation.
        self._cipher = Cipher(algorithms.AES(derived), modes.ECB())  # noqa: S305
        self._of_thread = threading.local()  # what is under way may be used by one thread at a time

    def public_id(self, kind: Kind, row_id: int) -> str:
        """The id that customers see of a row."""
        return kind.prefix + self._ciphers()[0](_BLOCK.pack(kind.tag, row_id)).hex()

    def row_id(self, kind: Kind, text: str) -> int:
        """The row that a public id is of; NOBODYS if it is well written but none of ours.

        Raises: NoPublicId.
        """
        if not kind.written.fullmatch(text):
            raise NoPublicId(f"such an id is written {kind.prefix} and {DIGITS} hex digits")
        tag, found = _BLOCK.unpack(self._ciphers()[1](bytes.fromhex(text[-DIGITS:])))
        return found if tag == kind.tag and found <= MAX_ROW_ID else NOBODYS

    def _ciphers(self) -> tuple[Change, Change]:
        """What encrypts a block, and what decrypts one."""
        try:
            found: tuple[Change, Change] = self._of_thread.ciphers
        except AttributeError:
            found = self._of_thread.ciphers = self._cipher.encryptor().update, self._cipher.decryptor().update
        return found


_ids = PublicIds(settings.PUBLIC_IDS_KEY)
public_id, row_id = _ids.public_id, _ids.row_id


def row_of(text: str) -> tuple[Kind, int] | None:
    """Kind and row of a public id of any kind, as somebody holds it in hand; None if it is none of ours."""
    for kind in Kind:
        if kind.written.fullmatch(text) and (found := row_id(kind, text)) != NOBODYS:
            return kind, found
    return None
