"""Doors for machines: who signs with the right key comes in, by one method, and each signature is taken once."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.views.decorators.csrf import csrf_exempt

from config import signing
from counter.access import nonces
from counter.api.errors import ApiError, answer, error_answer

Handler = Callable[..., HttpResponse]


@dataclass(frozen=True, slots=True)
class Door:
    """For whom: the setting that holds their keys, and the tag that their signatures carry."""

    setting: str
    tag: str

    def view(self, **handlers: Handler) -> Handler:
        """The view of an address that has a handler for each method; every error is answered in the API's shape."""

        @csrf_exempt
        def view(request: HttpRequest, **named: Any) -> HttpResponse:
            try:
                self._check_signature(request, now=timezone.now())
                handler = handlers.get(request.method or "")
                if handler is None:
                    response = error_answer("method_not_allowed")
                    response["Allow"] = ", ".join(handlers)
                    return response
                return handler(request, **named)
            except Exception as error:  # noqa: BLE001 - `answer` logs what it does not know
                return answer(error, {})

        return view

    def _check_signature(self, request: HttpRequest, *, now: datetime) -> None:
        """Take a request's signature, once.

        Raises: ApiError; RequestDataTooBig; database errors.
        """
        if not signing.is_signed(request.headers):
            raise ApiError("not_authenticated")
        message = signing.Received(
            method=request.method or "",
            url=f"http://counter{request.get_full_path()}",  # the host is not covered
            headers=request.headers,
        )
        keys = signing.keys_of(getattr(settings, self.setting))
        try:
            signed = signing.verify(message, keys=keys, tag=self.tag, body=request.body)
        except signing.SignatureInvalid as error:
            raise ApiError("signature_invalid", str(error)) from error
        window = timedelta(seconds=settings.SIGNATURE_WINDOW_SECONDS)
        if abs(now - signed.created) > window:
            raise ApiError("signature_expired", now=now.isoformat())
        if not nonces.take(signed.nonce, created=signed.created, window=window, now=now):
            raise ApiError("signature_replayed")


DESK = Door("SERVICE_KEY", signing.DESK_TAG)
WALLET = Door("WALLET_KEY", signing.WALLET_TAG)
