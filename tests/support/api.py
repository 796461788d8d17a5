"""Speaking to the customers' API as one customer, and reading its errors."""

import json
from typing import Any, Literal

from django.test import Client
from rest_framework.authtoken.models import Token

from counter.models import Customer
from tests.support.asgi import AsgiClient


class Caller:
    """One customer's HTTP client; it places through the framework, or through the fast path of orders."""

    def __init__(self, customer: Customer, *, door: Literal["framework", "fast_path"] = "framework") -> None:
        assert door in ("framework", "fast_path")
        self.customer = customer
        self.token = Token.objects.create(user=customer.user).key
        headers = {"Authorization": f"Token {self.token}"}
        self.http = Client(headers=headers)
        self.posting: Any = AsgiClient(headers=headers) if door == "fast_path" else self.http

    def get(self, path: str, **query: Any) -> Any:
        return self.http.get(f"/api/v1/{path}", query_params=query)

    def post(self, path: str, body: Any, content_type: str = "application/json") -> Any:
        raw = body if isinstance(body, (bytes, str)) else json.dumps(body)
        return self.posting.post(f"/api/v1/{path}", raw, content_type=content_type)


def error_of(response: Any, status: int) -> dict[str, Any]:
    """The error of a refused request, which has the one shape and nothing else."""
    assert response.status_code == status, response.content
    assert response["Content-Type"] == "application/json"
    body = response.json()
    assert set(body) == {"error"}
    told = {"code", "message", "detail", "final", "final_after_ms", "field", "limit", "left"}
    assert set(body["error"]) <= told
    assert body["error"]["message"]
    return body["error"]
