"""The door of the stream: who asks, and for what. The stream program carries on from there; others redirect to it."""

from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework.permissions import SAFE_METHODS
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request

from counter.api.errors import ApiError
from counter.api.openapi import STREAM_ERRORS, answers, described
from counter.api.parsers import query_of
from counter.api.renderers import MessageRenderer
from counter.api.views import CustomerView
from counter.stream.credentials import Credential, credential_of
from counter.stream.messages import StreamEvents, StreamQuery

EVENT_STREAM = "text/event-stream"


class EventStreamRenderer(BaseRenderer):
    """Has requests that accept event streams only be taken; it renders nothing."""

    media_type = EVENT_STREAM
    format = "event-stream"


class Opening(HttpResponse):
    """The beginning of a stream, which the program goes on with."""

    streaming = True  # so that no middleware says how long it is

    def __init__(self, *, customer_id: int, query: StreamQuery, credential: Credential) -> None:
        super().__init__(
            content_type=EVENT_STREAM,
            # A proxy that gathers answers would hold the events back; a connection is not used for another request.
            headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no", "Connection": "close"},
        )
        self.customer_id = customer_id
        self.query = query
        self.credential = credential


class StreamView(CustomerView):
    """Events for one customer."""

    renderer_classes = [MessageRenderer, EventStreamRenderer]
    metadata_class = None  # OPTIONS would be answered by a renderer

    @extend_schema(
        operation_id="stream",
        tags=["stream"],
        parameters=[
            described(StreamQuery),
            OpenApiParameter("format", exclude=True),  # REST framework's own, which is refused
            OpenApiParameter(
                "Last-Event-ID",
                str,
                OpenApiParameter.HEADER,
                description="The last id that was read: what has changed since is told at the beginning.",
            ),
        ],
        responses=answers(STREAM_ERRORS, {})
        | {
            (200, EVENT_STREAM): described(StreamEvents),
            307: OpenApiResponse(description="The program that streams is at `Location`."),
        },
        summary="Listen to prices and own changes",
    )
    def get(self, request: Request) -> HttpResponse:
        """Server-sent events until the client goes.

        `snapshot` comes first, then `order`, `position` and `balance` with each change: whole messages, as `GET` of
        orders, positions and accounts has them. `quotes` is a list of quotes: first all, then those that changed.
        `heartbeat` comes every 15 seconds. `end` is the last event and says why.
        """
        query = query_of(request, StreamQuery)
        return Opening(customer_id=self.customer_id, query=query, credential=credential_of(request))


class ElsewhereView(StreamView):
    """The same address at a program that does not stream: the client is sent on, and authenticates there."""

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        """Send GET on, if it is known where to: a redirection keeps method and headers."""
        if request.method != "GET" or not settings.STREAM_URL:
            return super().dispatch(request, *args, **kwargs)
        return HttpResponse(
            status=307, headers={"Location": f"{settings.STREAM_URL}{request.get_full_path()}"}
        )

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """A client that may ask is told that the proxy should not have sent it here."""
        super().initial(request, *args, **kwargs)
        if request.method in SAFE_METHODS:
            raise ApiError("not_found", "another program streams, and STREAM_URL does not say where it is")
