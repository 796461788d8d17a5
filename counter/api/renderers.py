"""Messages on their way out of REST framework's views, by msgspec."""

from collections.abc import Mapping
from typing import Any

import msgspec
from rest_framework.renderers import BaseRenderer


class MessageRenderer(BaseRenderer):
    """The one renderer. Errors are answered as JSON always, past it (`counter.api.errors`)."""

    media_type = "application/json"
    format = "json"
    charset = None  # JSON is UTF-8

    def render(
        self,
        data: object,
        accepted_media_type: str | None = None,
        renderer_context: Mapping[str, Any] | None = None,
    ) -> bytes:
        """The message as JSON; what is encoded already (`msgspec.Raw`) as it is."""
        return msgspec.json.encode(data)
