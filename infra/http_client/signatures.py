"""HTTP Message Signatures (RFC 9421, HMAC-SHA256) of calls between services that share a key.

A signature covers method, path, query and the body's digest; its nonce is for the verifier to take once. The host
is not covered, for a proxy may change it. Several keys may be valid at a time, to be exchanged without a stop.
"""

import hashlib
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Protocol

from http_message_signatures import (
    HTTPMessageSignaturesException,
    HTTPMessageSigner,
    HTTPMessageVerifier,
    MappingKeyResolver,
)
from http_message_signatures.algorithms import HMAC_SHA256

COVERED = ("@method", "@path", "@query", "content-digest")
NONCE_BYTES = 16
_KEY_ID_DIGITS = 16
_NONCE_LENGTHS = range(16, 65)


class SignatureInvalid(Exception):
    """The signature is malformed, covers too little, is of an unknown key, or does not fit the request."""


class Message(Protocol):
    """A request as the library reads it; `url` is absolute, of any host."""

    @property
    def method(self) -> str | None: ...
    @property
    def url(self) -> str | None: ...
    @property
    def headers(self) -> Any: ...


@dataclass(frozen=True, slots=True)
class Received:
    """A request that has come in."""

    method: str
    url: str
    headers: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Signed:
    """What a valid signature says of itself."""

    created: datetime
    nonce: str


class _Verifier(HTTPMessageVerifier):
    """Leaves the times to the caller, who has the clock and knows already that the signature is right."""

    def validate_created_and_expires(self, sig_input: Any, max_age: Any = None) -> None:
        """A time has to be there; the library reads the clock itself otherwise."""
        self._parse_integer_timestamp(sig_input.params.get("created"), field_name="created")


def keys_of(setting: str) -> dict[str, bytes]:
    """The secrets of a comma-separated list by their ids, which are fingerprints; the first one is signed with."""
    given = [secret.strip().encode() for secret in setting.split(",")]
    return {hashlib.sha256(secret).hexdigest()[:_KEY_ID_DIGITS]: secret for secret in given if secret}


def sign(message: Message, *, keys: Mapping[str, bytes], tag: str, body: bytes, now: datetime) -> None:
    """Add the signature's headers to a request that has none, under a nonce of its own."""
    key_id = next(iter(keys))
    signer = HTTPMessageSigner(signature_algorithm=HMAC_SHA256, key_resolver=_resolver(keys))
    signer.sign(
        message,
        key_id=key_id,
        created=now,
        nonce=secrets.token_hex(NONCE_BYTES),
        label=tag.removeprefix("crossbook-"),
        tag=tag,
        covered_component_ids=COVERED[:-1],  # giving the body adds its digest
        body=body,
    )


def is_signed(headers: Mapping[str, str]) -> bool:
    """Whether a request says that it is signed."""
    return "Signature" in headers or "Signature-Input" in headers


def verify(message: Received, *, keys: Mapping[str, bytes], tag: str, body: bytes) -> Signed:
    """Check a signature over request and body in constant time; when it was made and whether it came before are not.

    Raises: SignatureInvalid.
    """
    verifier = _Verifier(signature_algorithm=HMAC_SHA256, key_resolver=_resolver(keys))
    try:
        [result] = verifier.verify(
            message, max_age=None, expect_tag=tag, require_components=COVERED, body=body
        )
        created = datetime.fromtimestamp(int(result.parameters["created"]), UTC)
    except (HTTPMessageSignaturesException, ValueError, OverflowError, OSError) as error:
        raise SignatureInvalid(str(error)) from error
    if result.nonce is None or not result.nonce.isalnum() or len(result.nonce) not in _NONCE_LENGTHS:
        raise SignatureInvalid("a nonce of 16 to 64 letters and digits is missing")
    return Signed(created, result.nonce)


def _resolver(keys: Mapping[str, bytes]) -> MappingKeyResolver:
    return MappingKeyResolver(public_keys=keys, private_keys=keys)
