"""The short way of orders and of the desk's calls: past sessions, forms and REST framework, of which they need nothing.

Invariant: it leads to the same handlers as the long way, so the answers are the same; whatever is unusual about a
request (another kind of credentials, a token that is not valid, an unacceptable type) goes the long way.
"""

from collections.abc import Callable

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from rest_framework.exceptions import AuthenticationFailed

from counter.api import internal, orders
from counter.api.auth import caller_of
from counter.api.errors import answer
from counter.api.views import body_of

_JSON = ("*/*", "application/json")
_SCHEME = "Token "

Handler = Callable[[HttpRequest], HttpResponse | None]


class ShortWay:
    """Middleware, the first of all: answers what it knows and hands on everything else."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        handler = HANDLERS.get((request.method or "", request.path_info))
        response = None
        if handler is not None and (request.is_secure() or not settings.SECURE_SSL_REDIRECT):
            request.get_host()  # refuses a host that is not ours
            response = handler(request)
        if response is None:
            return self._get_response(request)
        response.headers["X-Content-Type-Options"] = "nosniff"
        return response


def _of_a_customer(place: Callable[[bytes, int], HttpResponse]) -> Handler:
    """Answer a body with `place` where a token alone says who asks."""

    def handle(request: HttpRequest) -> HttpResponse | None:
        credentials = request.META.get("HTTP_AUTHORIZATION", "")
        if not credentials.startswith(_SCHEME) or request.META.get("HTTP_ACCEPT", "*/*") not in _JSON:
            return None
        try:
            customer_id = caller_of(credentials.removeprefix(_SCHEME)).customer_id
            return None if customer_id is None else place(body_of(request), customer_id)
        except AuthenticationFailed:
            return None
        except Exception as error:  # noqa: BLE001 - `answer` logs what it does not know
            return answer(error, {})

    return handle


HANDLERS: dict[tuple[str, str], Handler] = {
    ("POST", "/api/v1/orders"): _of_a_customer(orders.place_one),
    ("POST", "/api/v1/orders/batch"): _of_a_customer(orders.place_many),
    ("GET", "/internal/v1/sync-orders"): internal.unsynced,
    ("POST", "/internal/v1/sync-orders/ack"): internal.acknowledge,
    ("POST", "/internal/v1/settlements"): internal.settlements,
}
