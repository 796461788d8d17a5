"""API keys, and requests signed with them; the signature is made here by hand, not by the code that verifies it."""

import hashlib
import hmac
import threading
import time

from django.test import Client
from django.utils import timezone

from counter.access import api_keys
from tests.support.asgi import AsgiClient

_times = [0]
_lock = threading.Lock()


def _now_ms():
    """Now, but never the same twice: two requests that are alike would be one."""
    with _lock:
        _times[0] = max(_times[0] + 1, int(time.time() * 1000))
        return _times[0]


def signed_headers(key, secret, method, target, body=b"", *, at_ms=None, recv_window=None, **others):
    """The headers of a signed request, made now unless `at_ms` says when."""
    timestamp = str(_now_ms() if at_ms is None else at_ms)
    window = "" if recv_window is None else str(recv_window)
    signed = f"{timestamp}{window}{method}{target}".encode() + body
    headers = {
        "X-API-Key": key,
        "X-API-Timestamp": timestamp,
        "X-API-Signature": hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest(),
    }
    return headers | ({"X-API-Recv-Window": window} if window else {}) | others


class SigningCaller:
    """One customer's program with a key: it places through the framework, or through the fast path of orders."""

    def __init__(self, customer, *, door="framework", scopes=("read", "trade"), **options):
        self.issued = api_keys.issue(
            customer_id=customer.pk, label="bot", scopes=scopes, now=timezone.now(), **options
        )
        self.key, self.secret = self.issued.key, self.issued.secret
        self.customer = customer
        self.door = door

    def headers(self, method, target, body=b"", **options):
        return signed_headers(self.key.public_id, self.secret, method, target, body, **options)

    def get(self, target, *, remote="127.0.0.1", **options):
        return Client(REMOTE_ADDR=remote).get(target, headers=self.headers("GET", target, **options))

    def post(self, target, body, **options):
        return self.send(target, body, self.headers("POST", target, body, **options))

    def send(self, target, body, headers, *, remote="127.0.0.1"):
        """Post with headers as they are given."""
        if self.door == "fast_path":
            return AsgiClient(headers=headers, peer=remote).post(target, body)
        return Client(REMOTE_ADDR=remote).post(target, body, content_type="application/json", headers=headers)
