"""What Schemathesis cannot know of this API: to JSON Schema 1.0 is an integer, and here a float is none."""

from typing import Any

import schemathesis


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
