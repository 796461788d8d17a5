"""A customer changes the password by themselves: the old one is asked for, and other sessions end."""

import structlog
from django.contrib.auth import update_session_auth_hash
from django.contrib.auth.forms import PasswordChangeForm
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_http_methods

from counter.models import Customer
from trade.book import balance_of
from trade.login import asked_again
from trade.page_access import for_customers

log = structlog.get_logger(__name__)


class OwnPasswordChange(PasswordChangeForm):
    """Django's form, whose look at the old password counts as a try of logging in."""

    def __init__(self, request: HttpRequest, customer: Customer) -> None:
        super().__init__(customer.user, request.POST or None)
        self._request, self._customer = request, customer

    def clean_old_password(self) -> str:
        """Raises: ValidationError."""
        given: str = self.cleaned_data["old_password"]
        if refused := asked_again(self._request, self._customer, given):
            raise ValidationError(f"{refused[:1].upper()}{refused[1:]}.")
        return given


@for_customers
@require_http_methods(["GET", "HEAD", "POST"])
def password(request: HttpRequest, customer: Customer) -> HttpResponse:
    """The form, and what has become of it. This session goes on; every other one of the customer has ended."""
    form = OwnPasswordChange(request, customer)
    is_changed = request.method == "POST" and form.is_valid()
    if is_changed:
        form.save()
        update_session_auth_hash(request, form.user)
        log.info("password changed by its customer", customer=customer.reference)
    context = {
        "customer": customer,
        "balance": balance_of(customer.pk),
        "form": form,
        "is_changed": is_changed,
    }
    return render(request, "trade/password.html", context, status=409 if form.errors else 200)
