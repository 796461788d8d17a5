"""Calling counter's signed APIs as the desk and the wallet service do: each request signed for itself."""

from typing import Any

import requests
from django.conf import settings
from django.test import Client
from django.utils import timezone

from counter.contracts import DESK_TAG, WALLET_TAG
from infra.http_client import signatures


def signed_headers(method: str, path: str, body: bytes = b"", **signature: Any) -> dict[str, str]:
    """Headers that sign a request as the desk; `keys`, `tag` and `now` may differ from its own."""
    message = requests.Request(method, f"http://counter{path}").prepare()
    given: dict[str, Any] = {
        "keys": signatures.keys_of(settings.SERVICE_KEY),
        "tag": DESK_TAG,
        "now": timezone.now(),
    }
    signatures.sign(message, body=body, **given | signature)
    return {name: str(message.headers[name]) for name in ("Signature", "Signature-Input", "Content-Digest")}


class SignedClient:
    """Django's test client, which signs what it sends: with the desk's key, unless another is given."""

    def __init__(self, signature: dict[str, Any] | None = None, **options: Any) -> None:
        self.http = Client(**options)
        self.signature = signature or {}

    def get(self, path: str, *, query_params: dict[str, Any] | None = None) -> Any:
        url = requests.Request("GET", f"http://counter{path}", params=query_params).prepare().path_url
        return self.http.get(url, headers=signed_headers("GET", url, **self.signature))

    def post(self, path: str, body: bytes = b"", content_type: str = "application/json") -> Any:
        headers = signed_headers("POST", path, body, **self.signature)
        return self.http.post(path, body, content_type=content_type, headers=headers)

    def put(self, path: str, body: bytes, content_type: str = "application/json") -> Any:
        headers = signed_headers("PUT", path, body, **self.signature)
        return self.http.put(path, body, content_type=content_type, headers=headers)


def wallet_client(**options: Any) -> SignedClient:
    """A client that signs with the wallet service's key."""
    key = signatures.keys_of(settings.WALLET_KEY)
    return SignedClient({"keys": key, "tag": WALLET_TAG}, **options)
