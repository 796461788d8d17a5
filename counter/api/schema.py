"""The schema of the API: made once, for making it takes a second of a core and anybody may ask for it."""

from datetime import date
from threading import Lock
from typing import Any

from django.http import HttpResponse
from drf_spectacular.utils import extend_schema
from drf_spectacular.views import SpectacularAPIView
from rest_framework.request import Request

from counter.api.examples import WRITTEN_AS_OF, as_of
from infra.coordination import clock

_making = Lock()
_made: dict[str, tuple[bytes, dict[str, str]]] = {}  # content and headers by media type


def _today() -> date:
    """By UTC; while the clock is not known, for which nobody waits, the day that the examples were written for."""
    now = clock.of("default").known()
    return WRITTEN_AS_OF if now is None else now.date()


class SchemaView(SpectacularAPIView):
    """The same to everybody, for as long as the process lives, but for the day of its examples."""

    @extend_schema(exclude=True)
    def get(self, request: Request, *args: Any, **kwargs: Any) -> HttpResponse:
        """The schema as JSON or YAML."""
        kind = request.accepted_renderer.media_type
        if kind not in _made:
            with _making:  # the library's own is not made by two threads at a time
                if kind not in _made:
                    _made[kind] = self._rendered(request)
        content, headers = _made[kind]
        return HttpResponse(as_of(content, _today()), headers=headers)

    def _get_version_parameter(self, request: Request) -> str | None:
        """None: what somebody asks for is not told to everybody."""
        return None

    def _rendered(self, request: Request) -> tuple[bytes, dict[str, str]]:
        response = self._get_schema_response(request)
        response.accepted_renderer = request.accepted_renderer
        response.accepted_media_type = request.accepted_media_type
        response.renderer_context = self.get_renderer_context()
        response.render()
        return response.content, dict(response.headers)
