"""Who is asking: one query from the token to the customer, so that a revoked token or user is out at once."""

from typing import Any

from rest_framework.authentication import TokenAuthentication
from rest_framework.authtoken.models import Token
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.permissions import BasePermission
from rest_framework.request import Request
from rest_framework.views import APIView

from counter.models import Customer


class CustomerTokenAuthentication(TokenAuthentication):
    """`Authorization: Token ...`, read together with its user and customer."""

    def authenticate_credentials(self, key: str) -> tuple[Any, Token]:
        known = Token.objects.select_related("user__customer")
        # isalnum: PostgreSQL refuses a NUL in a text, and no token holds anything else.
        token = known.filter(key=key).first() if key.isalnum() else None
        if token is None:
            raise AuthenticationFailed("the token is not valid")
        if not token.user.is_active:
            raise AuthenticationFailed("the user is not active")
        return token.user, token


class IsCustomer(BasePermission):
    """Lets in users who have a customer record; staff without one use the admin."""

    code = "customer_required"
    message = "these credentials belong to nobody with an account here"

    def has_permission(self, request: Request, view: APIView) -> bool:
        return request.user.is_authenticated and customer_of(request.user) is not None


def customer_of(user: Any) -> Customer | None:
    """The user's customer record; no query when it came with the token."""
    try:
        return user.customer
    except Customer.DoesNotExist:
        return None
