"""Throttled logins: each try of a password counts against its name and against the address that it comes from.

Guards real users too. Guessing uses up what a name has; a browser in which the user has logged in before is
known by a cookie, and counts for itself. And a password takes long to check: few are checked at a time, so that there
are threads of the framework for others.
"""

import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from hashlib import sha256
from threading import BoundedSemaphore
from typing import Any

from django import forms
from django.conf import settings
from django.contrib.auth.forms import AuthenticationForm
from django.contrib.auth.signals import user_logged_in
from django.core.signing import BadSignature, Signer
from django.dispatch import receiver
from django.http import HttpRequest, HttpResponse

from counter.access import rate_limit
from counter.api.addresses import holder_in
from infra.coordination import clock

TRIES_AT_ONCE = 20
# Then one in so many seconds: 2,880 a day of one name, wherever they come from.
NAME_AGAIN_AFTER_SECONDS = 30
ADDRESS_AGAIN_AFTER_SECONDS = 5
BUCKET_DIGITS = 5  # of a million subjects at most: made-up names do not fill a table
# Checked at a time by a process: of browsers that are known, and of all others.
CHECKED_AT_ONCE = 2
BROWSER_COOKIE = "browser"
BROWSER_DAYS = 180
_BROWSER_DIGITS = 32

_signer = Signer(salt="counter.api.logins browser")
_checking = {is_known: BoundedSemaphore(CHECKED_AT_ONCE) for is_known in (False, True)}


class ThrottledLogin(AuthenticationForm):
    """A login form that looks at few passwords; the tries of all doors count together."""

    def clean(self) -> dict[str, Any]:
        """Count the try, then look at the password.

        Raises: ValidationError.
        """
        name = self.cleaned_data.get("username", "").casefold()
        browser = _known_browser(self.request, name)
        with _turn(is_known=browser is not None):
            if wait := _seconds_to_wait(self.request, name, browser):
                raise forms.ValidationError(
                    f"Too many tries. The next one counts in {wait} seconds.", code="throttled"
                )
            return super().clean()


@contextmanager
def _turn(*, is_known: bool) -> Iterator[None]:
    """Go on as one of the few. Raises: ValidationError; waiting would keep a thread."""
    turns = _checking[is_known]
    if not turns.acquire(blocking=False):
        raise forms.ValidationError("Many log in at this moment. Please try again.", code="throttled")
    try:
        yield
    finally:
        turns.release()


def _seconds_to_wait(request: HttpRequest | None, name: str, browser: str | None) -> int:
    """Until there may be another try; 0 if there may be one now."""
    limits = (_limit("b", browser, NAME_AGAIN_AFTER_SECONDS),) if browser else _limits(request, name)
    granted = rate_limit.grant(dict.fromkeys(limits, 1), now=clock.of("default").now())
    waits = [standing.retry_after_seconds for taken, standing in granted.values() if not taken]
    return max(waits, default=0)


def _limits(request: HttpRequest | None, name: str) -> tuple[rate_limit.Limit, ...]:
    """Of the name, and of the address."""
    address = None
    if request is not None:
        address = holder_in(request)
    return (
        _limit("n", name, NAME_AGAIN_AFTER_SECONDS),
        _limit("a", str(address), ADDRESS_AGAIN_AFTER_SECONDS),
    )


def _limit(kind: str, of: str, seconds: int) -> rate_limit.Limit:
    bucket = sha256(of.encode()).hexdigest()[:BUCKET_DIGITS]
    return rate_limit.of_logins(f"{kind}:{bucket}", seconds=seconds, at_once=TRIES_AT_ONCE)


# --- browsers that are known -----------------------------------------------------------------------------------------


def _known_browser(request: HttpRequest | None, name: str) -> str | None:
    """The id of the browser that asks, if this user has logged in with it."""
    cookie = request.COOKIES.get(BROWSER_COOKIE, "") if request is not None else ""
    try:
        user, _, browser = _signer.unsign(cookie).partition(".")
    except BadSignature:
        return None
    return browser if user == _digest(name) else None


def _digest(name: str) -> str:
    return sha256(name.encode()).hexdigest()[:_BROWSER_DIGITS]


@receiver(user_logged_in)
def note_browser(request: HttpRequest | None, user: Any, **signal: Any) -> None:
    """The answer to this request makes the browser known, unless it is."""
    if request is not None:
        name = user.get_username().casefold()
        request.known_to = None if _known_browser(request, name) else name  # type: ignore[attr-defined]


class KnownBrowserMiddleware:
    """Sends a browser in which somebody has logged in the cookie that it is known by."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self._get_response(request)
        if name := getattr(request, "known_to", None):
            response.set_cookie(
                BROWSER_COOKIE,
                _signer.sign(f"{_digest(name)}.{secrets.token_hex(_BROWSER_DIGITS // 2)}"),
                max_age=BROWSER_DAYS * 24 * 3600,
                secure=settings.SESSION_COOKIE_SECURE,
                httponly=True,
                samesite="Lax",
            )
        return response
