"""What the stream takes and tells: parameters, and events as the bytes that are sent."""

from collections.abc import Collection, Sequence
from datetime import UTC, date, datetime
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from counter.api.fields import Query, Underlying, usdt
from counter.api.order_messages import StoredOrder, stored_order
from counter.api.position_messages import AccountBody, PositionBody, position_body
from counter.contracts import Moment
from counter.public_ids import NOBODYS, Kind, public_id, row_id
from counter.stream.changes import Change, Mark

_CHANNEL = "(orders|positions|balance|quotes)"
_SYMBOL = "[A-Z0-9-]{3,32}"
OWN_CHANNELS = frozenset({"orders", "positions", "balance"})
QUOTES = "quotes"
MAX_SYMBOLS = 50

LAST_EVENT_ID = b"last-event-id"


class StreamQuery(Query, kw_only=True):
    """What to listen to. The filters are of quotes only."""

    channels: Annotated[
        str,
        Meta(
            pattern=rf"^{_CHANNEL}(,{_CHANNEL}){{0,3}}(?!\n)$",
            description="Of `orders`, `positions`, `balance` and `quotes`, comma-separated.",
            examples=["orders,positions,balance,quotes"],
        ),
    ] = "orders,positions,balance"
    underlying: Underlying | None = None
    expiry: Annotated[date, Meta(description="Day of expiry, UTC.")] | None = None
    symbols: (
        Annotated[
            str,
            Meta(
                pattern=rf"^{_SYMBOL}(,{_SYMBOL}){{0,{MAX_SYMBOLS - 1}}}(?!\n)$",
                description=f"Options, comma-separated, at most {MAX_SYMBOLS}.",
                examples=["BTC-27NOV26-90000-C,BTC-27NOV26-90000-P"],
            ),
        ]
        | None
    ) = None


class Snapshot(msgspec.Struct):
    """The first event of own changes. A channel that was not asked for is null.

    Unfinished orders, live positions, balance; with `Last-Event-ID` also what has changed since that event. What the
    customer knew as unfinished or live and does not find here has ended. `is_whole` is false when there are more than
    1,000 of one: read them by `GET /api/v1/orders` and `/positions`.
    """

    orders: list[StoredOrder] | None
    positions: list[PositionBody] | None
    balance: AccountBody | None
    is_whole: bool


class QuotesChange(msgspec.Struct):
    """Quotes that are new or differ from what was told before; `gone`: symbols that have no quote any more."""

    results: Annotated[
        list[msgspec.Raw], Meta(extra_json_schema={"items": {"$ref": "#/components/schemas/QuoteBody"}})
    ]
    gone: list[str]


class Heartbeat(msgspec.Struct):
    """The program has read what there is to tell at a moment. While the database does not answer there is none."""

    at: Moment


class StreamEnd(msgspec.Struct):
    """The last event. Connect again after `restarting` and `too_slow`, with the last id; not after `revoked`."""

    code: Annotated[Literal["restarting", "too_slow", "revoked"], Meta(title="StreamEndCode")]
    message: str


class StreamEvents(msgspec.Struct):
    """`data` of each event, by the event's name."""

    snapshot: Snapshot
    order: StoredOrder
    position: PositionBody
    balance: AccountBody
    quotes: QuotesChange
    heartbeat: Heartbeat
    end: StreamEnd


ENDS = {
    "restarting": "the program is being replaced; connect again",
    "too_slow": "the events were not read as fast as they came; connect again",
    "revoked": "the credentials are not valid any more",
}


def event(name: str, body: object) -> bytes:
    """One event. Its JSON holds no line break."""
    return b"event: %s\ndata: %s\n\n" % (name.encode(), msgspec.json.encode(body))


def snapshot(start: Change, channels: Collection[str]) -> Snapshot:
    """What a listener to these channels is told first."""
    held = None if start.balance is None else AccountBody("USDT", usdt(start.balance))
    return Snapshot(
        orders=[stored_order(order) for order in start.orders] if "orders" in channels else None,
        positions=[position_body(each) for each in start.positions] if "positions" in channels else None,
        balance=held if "balance" in channels else None,
        is_whole=start.is_whole,
    )


def events_of(change: Change) -> dict[str, list[bytes]]:
    """The events of a change by channel, in the order in which they are told."""
    held = [] if change.balance is None else [AccountBody("USDT", usdt(change.balance))]
    return {
        "orders": [event("order", stored_order(order)) for order in change.orders],
        "positions": [event("position", position_body(position)) for position in change.positions],
        "balance": [event("balance", body) for body in held],
    }


def last_of(events: Sequence[bytes], mark: Mark) -> bytes:
    """Events that are sent together. Only the last one has the id: who has read half of them has to get all again."""
    return b"%sid: %s\n\n" % (b"".join(events)[:-1], mark_text(mark).encode())


def end_event(code: Literal["restarting", "too_slow", "revoked"]) -> bytes:
    """The last event of a stream."""
    return event("end", StreamEnd(code, ENDS[code]))


def mark_text(mark: Mark) -> str:
    """A mark as the id of an event."""
    return f"{public_id(Kind.STREAM_MARK, mark.order_id)}-{int(mark.at.timestamp() * 1000)}"


def mark_of(text: str) -> Mark | None:
    """The mark that an id of ours stands for; None for any other text, upon which all is told from the beginning."""
    told, _, milliseconds = text.partition("-")
    if not _is_number(milliseconds):
        return None
    try:
        order_id = row_id(Kind.STREAM_MARK, told)
        at = datetime.fromtimestamp(int(milliseconds) / 1000, UTC)
    except (OverflowError, ValueError, OSError):  # NoPublicId is a ValueError
        return None
    return None if order_id == NOBODYS else Mark(order_id, at)


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) <= 18
