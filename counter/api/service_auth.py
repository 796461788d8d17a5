"""Services of ours that call: who signs with the right key comes in, and each signature is taken once."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import ClassVar

from django.conf import settings
from requests.structures import CaseInsensitiveDict
from rest_framework.authentication import BaseAuthentication
from rest_framework.request import Request

from counter.access import nonces
from counter.api.errors import ApiError
from counter.api.event_loop_answers import Receive, Scope
from counter.api.raw_request import target_of
from counter.contracts import DESK_TAG, WALLET_TAG
from infra.coordination import clock
from infra.http_client import signatures


@dataclass(frozen=True, slots=True)
class Service:
    """Who calls, in place of Django's user: the setting that holds their keys, and the tag of their signatures."""

    setting: str
    tag: str
    is_authenticated: ClassVar[bool] = True

    async def recognises(self, scope: Scope, receive: Receive) -> bool:
        """Whether a request with its whole body there is signed with a key of theirs; asks nobody.

        Not whether it was made now or came before: `check` looks at that.
        """
        headers = CaseInsensitiveDict(
            {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        )
        if not any(key_id in headers.get("Signature-Input", "") for key_id in self._keys()):
            return False
        target = target_of(scope["raw_path"], scope["query_string"]).decode("latin-1")
        message = signatures.Received(scope["method"], f"http://counter{target}", headers)
        try:
            self._verify(message, (await receive()).get("body", b""))
        except Exception:  # noqa: BLE001 - `check` will say what is wrong with it
            return False
        return True

    def check(self, message: signatures.Received, body: bytes, *, now: datetime) -> signatures.Signed:
        """Take a request's signature, once.

        Raises: ApiError; database errors.
        """
        try:
            signed = self._verify(message, body)
        except signatures.SignatureInvalid as error:
            raise ApiError("signature_invalid", str(error)) from error
        window = timedelta(seconds=settings.SIGNATURE_WINDOW_SECONDS)
        if abs(now - signed.created) > window:
            raise ApiError("signature_expired", now=now.isoformat())
        if not nonces.take(signed.nonce, created=signed.created, window=window, now=now):
            raise ApiError("signature_replayed")
        return signed

    def _verify(self, message: signatures.Received, body: bytes) -> signatures.Signed:
        return signatures.verify(message, keys=self._keys(), tag=self.tag, body=body)

    def _keys(self) -> dict[str, bytes]:
        return signatures.keys_of(getattr(settings, self.setting))


DESK = Service("SERVICE_KEY", DESK_TAG)
WALLET = Service("WALLET_KEY", WALLET_TAG)


class ServiceAuthentication(BaseAuthentication):
    """HTTP Message Signatures (`infra.http_client.signatures`) of one service; no other credentials count here."""

    service: ClassVar[Service]

    def authenticate(self, request: Request) -> tuple[Service, signatures.Signed]:
        """The service, whose signature is taken.

        Raises: ApiError; RequestDataTooBig; database errors.
        """
        plain = request._request
        if not signatures.is_signed(plain.headers):
            raise ApiError("not_authenticated")
        message = signatures.Received(
            method=plain.method or "",
            url=f"http://counter{plain.get_full_path()}",  # the host is not covered
            headers=plain.headers,
        )
        return self.service, self.service.check(message, plain.body, now=clock.of("default").now())


class DeskAuthentication(ServiceAuthentication):
    """The desk's signature."""

    service = DESK


class WalletAuthentication(ServiceAuthentication):
    """The wallet service's signature."""

    service = WALLET
