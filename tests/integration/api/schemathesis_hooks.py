"""What Schemathesis cannot know of this API: how requests are signed, and that a float is no integer here."""

import os
from typing import Any

import schemathesis

from examples.python.crossbook_client import Signed

# Over the very bytes that are sent; replaces what was generated for these headers.
signed = Signed(os.environ["CROSSBOOK_KEY"], os.environ["CROSSBOOK_SECRET"])
schemathesis.auth.set_from_requests(signed)  # type: ignore[attr-defined]


@schemathesis.hook
def before_call(context: Any, case: Any, **transport: Any) -> None:
    """Write integers as integers."""
    case.body = _as_integers(case.body)


def _as_integers(value: Any) -> Any:
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, list):
        return [_as_integers(item) for item in value]
    if isinstance(value, dict):
        return {name: _as_integers(item) for name, item in value.items()}
    return value
