"""Orders with a duplicate field are refused: JSON readers differ in whether they take the first or the last.

Invariant: a body that has been decoded into a message and has as many colons as that message needs has no duplicate,
because each key has a colon. Only a body with more colons, or with escapes that could hide one, is read a second time.
"""

import json
from typing import Any

import msgspec

from counter.api.errors import ApiError


def check_no_duplicates(raw: bytes | msgspec.Raw, *, colons: int) -> None:
    """Refuse JSON with a repeated field; it was decoded into a message that needs this many `colons`.

    Raises: ApiError.
    """
    body = raw if isinstance(raw, bytes) else bytes(raw)
    if body.count(b":") != colons or b"\\" in body:
        try:
            json.loads(body, object_pairs_hook=_all_different)
        except (ValueError, RecursionError) as error:  # in a part that was not decoded yet
            raise ApiError("malformed_json", str(error)) from error


def _all_different(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        repeated = next(name for name in names if names.count(name) > 1)
        raise ApiError("invalid_request", f"`{repeated}` is given more than once")
    return found
