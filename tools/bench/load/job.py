"""What a load process is told to send, and what it tells of it; both travel as JSON."""

from typing import Annotated

import msgspec
from msgspec import Meta


class Job(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """One run of load. With a `rate` the loop is open: a request is due at its time regardless of the others.

    Without one it is closed: each connection has always one request under way, for `seconds` after `warm_up_seconds`
    that count for nothing, or until the `prebuilt` orders are used up.
    """

    url: str
    tokens: list[str]
    symbols: list[str]
    run_id: str
    connections: int
    orders_each: Annotated[
        int, Meta(description="Orders in one request; 1 goes to the endpoint for single ones.")
    ]
    seconds: float
    rate: Annotated[float | None, Meta(description="Orders due in a second.")] = None
    warm_up_seconds: float = 0.0
    prebuilt: Annotated[int, Meta(description="Orders made ready for a closed loop.")] = 0
    patience_seconds: Annotated[float, Meta(description="How long after the end answers are awaited.")] = 15.0


class Outcome(msgspec.Struct, kw_only=True):
    """What came of a job. Counts are orders; milliseconds count from when a request was due (open) or sent (closed)."""

    offered: int
    accepted: int
    unavailable: Annotated[int, Meta(description="Answered 503.")]
    refused: int
    unanswered: int
    refused_by_code: dict[str, int]
    orders_per_s: Annotated[float, Meta(description="Accepted within the measured seconds.")]
    p50_ms: float | None
    p99_ms: float | None
    seconds: Annotated[float, Meta(description="From the first request to the end of the measured time.")]
    client_cpu_seconds: float
    client_cpu_share: Annotated[float, Meta(description="Of one core, while measured.")]
    ran_dry: Annotated[bool, Meta(description="The prebuilt orders were used up too soon.")]
