"""The schema in the shape that generators of clients understand; what is sent and answered stays what it is.

Some of what JSON Schema can say, generators get wrong or leave out: a `oneOf` inside an object, an enum without a name,
integers without a size, a default of null (of which one of TypeScript makes a field that must be given).
"""

from inspect import cleandoc
from typing import Any

Schema = dict[str, Any]
Schemas = dict[str, Schema]

LARGEST_INT32 = 2**31 - 1
# Their fields are left out where they say nothing, and never null.
LEFT_OUT_IF_EMPTY = (
    *("OrderOutcome", "Problem"),
    *("OrderEvent", "PositionEvent", "DepositEvent", "WithdrawalEvent"),
)
# Requests in which a generator would have what has a default be given.
MAY_BE_LEFT_OUT = ("NewWebhookEndpoint",)
_EVENT_STREAM = "text/event-stream"
_REF = "#/components/schemas/"
_VALUES = ("example", "examples", "value")  # what stands there is data, not a schema
# ECMA's `$`, unlike Python's, is the very end.
_NO_NEWLINE = r"(?!\n)$"


def of_customers(endpoints: list[tuple[str, str, str, Any]]) -> list[tuple[str, str, str, Any]]:
    """Preprocessing hook: staff's addresses have a schema of their own."""
    return [each for each in endpoints if not each[0].startswith("/staff/")]


def for_generators(result: dict[str, Any], **generator: Any) -> dict[str, Any]:
    """Postprocessing hook."""
    schemas: Schemas = result["components"]["schemas"]
    _split_closes(schemas)
    for name in LEFT_OUT_IF_EMPTY:
        _leave_out_if_empty(schemas[name])
    for name in MAY_BE_LEFT_OUT:
        for told in schemas[name]["properties"].values():
            told.pop("default", None)
    enums: Schemas = {}
    shaped = _shaped(result, enums)
    shaped["components"]["schemas"] = dict(sorted({**shaped["components"]["schemas"], **enums}.items()))
    return shaped


def _split_closes(schemas: Schemas) -> None:
    """An order names what it closes in one of two ways: an object for each, and none for both."""
    close = schemas.pop("CloseOrder")
    ways = {
        "CloseByPosition": ("position_id", "opened_by"),
        "CloseByOpeningOrder": ("opened_by", "position_id"),
    }
    for name, (given, other) in ways.items():
        fields = {field: told for field, told in close["properties"].items() if field != other}
        fields[given] = _without_null(fields[given])
        schemas[name] = {
            **close,
            "title": name,
            "properties": fields,
            "required": [*close["required"], given],
        }
    schemas["NewOrder"] = {"oneOf": [{"$ref": _REF + name} for name in ("OpenOrder", *ways)]}
    schemas["OrderBatchBody"]["properties"]["orders"]["items"] = {"$ref": f"{_REF}NewOrder"}


def _leave_out_if_empty(schema: Schema) -> None:
    for field, told in schema["properties"].items():
        told.pop("default", None)
        schema["properties"][field] = _without_null(told)


def _without_null(told: Schema) -> Schema:
    match told.get("anyOf"):
        case [only, {"type": "null"}]:
            others = {key: value for key, value in told.items() if key not in ("anyOf", "default")}
            return {**only, **others}
    return told


def _shaped(part: Any, enums: Schemas) -> Any:
    """A part of the document anew; named enums in it are put into `enums`, and a reference where each stood."""
    if isinstance(part, list):
        return [_shaped(each, enums) for each in part]
    if not isinstance(part, dict):
        return part
    shaped = {key: _part(key, value, enums) for key, value in part.items()}
    if isinstance(shaped.get("enum"), list):
        return _named(shaped, enums)
    if "default" in shaped and shaped["default"] is None:
        del shaped["default"]
    if isinstance(text := shaped.get("description"), str):
        shaped["description"] = cleandoc(text)
    if isinstance(pattern := shaped.get("pattern"), str):
        shaped["pattern"] = pattern.replace(_NO_NEWLINE, "$")
    if shaped.get("type") == "integer" and shaped.get("maximum", LARGEST_INT32 + 1) > LARGEST_INT32:
        shaped["format"] = "int64"
    if _EVENT_STREAM in shaped and "schema" in shaped[_EVENT_STREAM]:
        shaped[_EVENT_STREAM] = {"schema": {"type": "string"}}
    return shaped


def _part(key: str, value: Any, enums: Schemas) -> Any:
    if key == "properties":  # whose keys are names of fields, and no words of JSON Schema
        return {name: _shaped(told, enums) for name, told in value.items()}
    return value if key in _VALUES else _shaped(value, enums)


def _named(enum: Schema, enums: Schemas) -> Schema:
    """One value is a constant, several are an enum by their title."""
    values = enum["enum"]
    if len(values) == 1:
        return {"type": "string", "const": values[0]}
    name = enum["title"]
    named = {"title": name, "type": "string", **enum}
    named.pop("default", None)
    known = enums.setdefault(name, named)
    if known["enum"] != values:
        raise ValueError(f"two enums are named {name}")
    return {"$ref": _REF + name}
