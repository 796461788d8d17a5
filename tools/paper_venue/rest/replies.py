"""Answers as HTTP: JSON data, or a refusal with its code, status and headers."""

from __future__ import annotations

import json
from typing import Any

from aiohttp import web

from tools.paper_venue.errors import ApiError


def reply(data: Any, *, headers: dict[str, str] | None = None, status: int = 200) -> web.Response:
    text = json.dumps(data, separators=(",", ":"))
    return web.Response(text=text, status=status, content_type="application/json", headers=headers)


def refusal(error: ApiError, *, headers: dict[str, str]) -> web.Response:
    return refusal_of(error.status, error.code, error.message, headers={**headers, **error.headers})


def refusal_of(
    status: int, code: int, message: str, *, headers: dict[str, str] | None = None
) -> web.Response:
    return reply({"code": code, "msg": message}, status=status, headers=headers)
