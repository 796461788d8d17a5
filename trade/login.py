"""Customers log in with a password; whoever has no account here is told so, and staff where their own door is.

Guards passwords against guessing: each try counts against its name and against the address that it comes from.
"""

from hashlib import sha256
from typing import Any

from django import forms
from django.contrib.auth.forms import AuthenticationForm
from django.contrib.auth.views import LoginView, LogoutView
from django.http import HttpRequest
from django.utils import timezone
from django.utils.decorators import method_decorator

from counter.access import pace
from counter.api.addresses import client_address
from counter.api.received import header_in
from counter.models import Customer
from trade.doors import guarded

TRIES_AT_ONCE = 20
# Then one in so many seconds: 2,880 a day of one name, wherever they come from.
NAME_AGAIN_AFTER_SECONDS = 30
ADDRESS_AGAIN_AFTER_SECONDS = 5
BUCKET_DIGITS = 5  # of a million subjects at most: made-up names do not fill a table


class CustomerLoginForm(AuthenticationForm):
    """Name and password of a customer."""

    def clean(self) -> dict[str, Any]:
        """Count the try, then look at the password.

        Raises: ValidationError.
        """
        if wait := _seconds_to_wait(self.request, self.cleaned_data.get("username", "")):
            raise forms.ValidationError(
                f"Too many tries. The next one counts in {wait} seconds.", code="throttled"
            )
        return super().clean()

    def confirm_login_allowed(self, user: Any) -> None:
        """Let in who has an account.

        Raises: ValidationError.
        """
        super().confirm_login_allowed(user)
        if not Customer.objects.filter(user_id=user.pk).exists():
            raise forms.ValidationError(
                "This login belongs to nobody with an account here. Staff log in at /admin/.",
                code="customer_required",
            )


@method_decorator(guarded, name="dispatch")
class CustomerLogin(LoginView):
    """The customers' login; a session of the pages is also one of the API."""

    template_name = "trade/login.html"
    authentication_form = CustomerLoginForm
    next_page = "trade:page"


@method_decorator(guarded, name="dispatch")
class CustomerLogout(LogoutView):
    """Ends the session; takes POST only."""

    next_page = "trade:login"


def _seconds_to_wait(request: HttpRequest | None, name: str) -> int:
    """Until the name and the address may be tried again; 0 if they may now."""
    address = None
    if request is not None:
        forwarded_for = header_in(request)("X-Forwarded-For")
        address = client_address(request.META.get("REMOTE_ADDR", ""), forwarded_for or "")
    limits = (
        _limit("n", name.casefold(), NAME_AGAIN_AFTER_SECONDS),
        _limit("a", str(address), ADDRESS_AGAIN_AFTER_SECONDS),
    )
    granted = pace.grant(dict.fromkeys(limits, 1), now=timezone.now())
    waits = [standing.retry_after_seconds for taken, standing in granted.values() if not taken]
    return max(waits, default=0)


def _limit(kind: str, of: str, seconds: int) -> pace.Limit:
    bucket = sha256(of.encode()).hexdigest()[:BUCKET_DIGITS]
    return pace.of_logins(f"{kind}:{bucket}", seconds=seconds, at_once=TRIES_AT_ONCE)
