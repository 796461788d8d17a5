"""Customers log in with a password; users without an account here are told so, and staff where to log in."""

from typing import Any

from django import forms
from django.contrib.auth.views import LoginView, LogoutView
from django.http import HttpRequest
from django.utils.decorators import method_decorator
from django.utils.translation import gettext as _

from counter.api.logins import ThrottledLogin
from counter.models import Customer
from trade.page_access import guarded


class CustomerLoginForm(ThrottledLogin):
    """Name and password of a customer."""

    def confirm_login_allowed(self, user: Any) -> None:
        """Let in who has an account.

        Raises: ValidationError.
        """
        super().confirm_login_allowed(user)
        if not Customer.objects.filter(user_id=user.pk).exists():
            raise forms.ValidationError(
                _("This login belongs to nobody with an account here. Staff log in at /admin/."),
                code="customer_required",
            )


def asked_again(request: HttpRequest, customer: Customer, password: str) -> str:
    """Ask a customer who is logged in for the password once more; what is wrong with it, or nothing.

    A try counts as one of logging in: who found an open page guesses no faster than anybody else.
    """
    form = ThrottledLogin(request, {"username": customer.user.get_username(), "password": password})
    if form.is_valid():
        return ""
    throttled = [error for error in form.non_field_errors().as_data() if error.code == "throttled"]
    return str(throttled[0].message).rstrip(".") if throttled else _("that is not your password")


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
