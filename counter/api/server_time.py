"""What time it is, for anybody: by the clock that judges signatures, so that a client can put its own right."""

from datetime import UTC, datetime, timedelta
from typing import Annotated

import msgspec
from drf_spectacular.utils import extend_schema
from msgspec import Meta
from rest_framework.request import Request
from rest_framework.response import Response

from counter.api.fields import Query
from counter.api.openapi import PUBLIC_ERRORS, answers
from counter.api.parsers import query_of
from counter.api.views import PublicView
from counter.contracts import Moment
from infra.coordination import clock

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MS = timedelta(milliseconds=1)


class TimeQuery(Query, kw_only=True):
    """Nothing can be asked for."""


class ServerTime(msgspec.Struct):
    """One moment, in the two ways in which the API writes and reads moments."""

    now: Moment
    now_ms: Annotated[int, Meta(description="Milliseconds since 1970, as `X-API-Timestamp` has them.")]


class TimeView(PublicView):
    """The server's time."""

    @extend_schema(
        operation_id="read_time",
        tags=["market"],
        responses=answers(PUBLIC_ERRORS, {200: ServerTime}),
        summary="Read the server's time",
    )
    def get(self, request: Request) -> Response:
        """The time by which signatures are judged. Needs no credentials, and looks at none."""
        query_of(request, TimeQuery)
        now = clock.of("default").now()
        return Response(
            ServerTime(now=now, now_ms=(now - _EPOCH) // _MS), headers={"Cache-Control": "no-store"}
        )
