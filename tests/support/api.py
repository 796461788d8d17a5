"""Speaking to the customers' API as one customer, and reading its errors."""

import json
from typing import Any

from django.test import Client
from rest_framework.authtoken.models import Token

from counter.models import Customer


class Caller:
    """One customer's HTTP client."""

    def __init__(self, customer: Customer) -> None:
        self.customer = customer
        self.token = Token.objects.create(user=customer.user).key
        self.http = Client(headers={"Authorization": f"Token {self.token}"})

    def get(self, path: str, **query: Any) -> Any:
        return self.http.get(f"/api/v1/{path}", query_params=query)

    def post(self, path: str, body: Any, content_type: str = "application/json") -> Any:
        raw = body if isinstance(body, (bytes, str)) else json.dumps(body)
        return self.http.post(f"/api/v1/{path}", raw, content_type=content_type)


def error_of(response: Any, status: int) -> dict[str, Any]:
    """The error of a refused request, which has the one shape and nothing else."""
    assert response.status_code == status, response.content
    assert response["Content-Type"] == "application/json"
    body = response.json()
    assert set(body) == {"error"}
    assert set(body["error"]) <= {"code", "message", "detail"}
    assert body["error"]["message"]
    return body["error"]
