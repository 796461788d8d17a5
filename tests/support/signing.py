"""Calling counter's internal API as the desk does: each request signed for itself."""

from typing import Any

import requests
from django.conf import settings
from django.test import Client
from django.utils import timezone

from config import signing


def signed_headers(method: str, path: str, body: bytes = b"", **signature: Any) -> dict[str, str]:
    """Headers that sign a request; `keys` and `now` may differ from the usual ones."""
    message = requests.Request(method, f"http://counter{path}").prepare()
    given: dict[str, Any] = {"keys": signing.keys_of(settings.SERVICE_KEY), "now": timezone.now()}
    signing.sign(message, body=body, **given | signature)
    return {name: str(message.headers[name]) for name in ("Signature", "Signature-Input", "Content-Digest")}


class DeskClient:
    """Django's test client, which signs what it sends."""

    def __init__(self, **options: Any) -> None:
        self.http = Client(**options)

    def get(self, path: str, *, query_params: dict[str, Any] | None = None) -> Any:
        url = requests.Request("GET", f"http://counter{path}", params=query_params).prepare().path_url
        return self.http.get(url, headers=signed_headers("GET", url))

    def post(self, path: str, body: bytes, content_type: str = "application/json") -> Any:
        headers = signed_headers("POST", path, body)
        return self.http.post(path, body, content_type=content_type, headers=headers)

    def put(self, path: str, body: bytes, content_type: str = "application/json") -> Any:
        headers = signed_headers("PUT", path, body)
        return self.http.put(path, body, content_type=content_type, headers=headers)
