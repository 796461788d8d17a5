"""Which parser reads a request and which renderer answers it, where REST framework would guess."""

from collections.abc import Iterable

from rest_framework.negotiation import DefaultContentNegotiation
from rest_framework.parsers import BaseParser
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request


class Negotiation(DefaultContentNegotiation):
    """Answers as `Accept` says; bodies go to the one parser, which is stricter than a comparison of types."""

    def select_parser(self, request: Request, parsers: Iterable[BaseParser]) -> BaseParser:
        """The one."""
        return next(iter(parsers))


class ServiceNegotiation(Negotiation):
    """For services: they know that answers are JSON, and need not say what they accept."""

    def select_renderer(
        self, request: Request, renderers: Iterable[BaseRenderer], format_suffix: str | None = None
    ) -> tuple[BaseRenderer, str]:
        """The one."""
        renderer = next(iter(renderers))
        return renderer, renderer.media_type
