"""Customers log in with a password; whoever has no account here is told so, and staff where their own door is."""

from typing import Any

from django import forms
from django.contrib.auth.forms import AuthenticationForm
from django.contrib.auth.views import LoginView, LogoutView
from django.utils.decorators import method_decorator

from counter.models import Customer
from trade.doors import guarded


class CustomerLoginForm(AuthenticationForm):
    """Name and password of a customer."""

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
