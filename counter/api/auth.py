"""Who is asking: from the token to the customer by one plain query, remembered for five seconds.

A revoked token or user is out at once in the process that revoked it, and within that time everywhere.
"""

from dataclasses import dataclass
from threading import Lock
from typing import Any, ClassVar

from cachetools import TTLCache
from django.contrib.auth import get_user_model
from django.db import connection, transaction
from django.db.models.signals import post_delete, post_save
from django.dispatch import receiver
from rest_framework.authentication import SessionAuthentication, TokenAuthentication
from rest_framework.authtoken.models import Token
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.permissions import BasePermission
from rest_framework.request import Request
from rest_framework.views import APIView

from counter.models import Customer

REMEMBERED_FOR_SECONDS = 5.0
REMEMBERED_CALLERS = 100_000
# Written out, because compiling the same from models takes longer than running it.
CALLER_OF_KEY = """
    SELECT u.id, u.is_active, c.id
    FROM authtoken_token AS t
    JOIN auth_user AS u ON u.id = t.user_id
    LEFT JOIN counter_customer AS c ON c.user_id = u.id
    WHERE t.key = %s
"""


@dataclass(frozen=True, slots=True)
class Caller:
    """A user known by token or session, in place of Django's; `customer_id` is None for who has no account."""

    pk: int
    customer_id: int | None
    is_authenticated: ClassVar[bool] = True
    is_active: ClassVar[bool] = True


class _Callers:
    """Who was found to hold which token within the last REMEMBERED_FOR_SECONDS."""

    def __init__(self) -> None:
        self.generation = 0  # of the tokens: what was looked up in an earlier one is not remembered
        self._known: TTLCache[str, Caller] = TTLCache(REMEMBERED_CALLERS, REMEMBERED_FOR_SECONDS)
        self._lock = Lock()

    def get(self, key: str) -> Caller | None:
        with self._lock:
            return self._known.get(key)

    def remember(self, key: str, caller: Caller, generation: int) -> None:
        with self._lock:
            if generation == self.generation:
                self._known[key] = caller

    def forget(self) -> None:
        with self._lock:
            self.generation += 1
            self._known.clear()


_callers = _Callers()


@receiver([post_save, post_delete], sender=Token)
@receiver([post_save, post_delete], sender=get_user_model())
def forget_callers(using: str, **signal: Any) -> None:
    """Look every token up anew: one of them, or its user, has changed, and others see that from the commit on."""
    _callers.forget()
    transaction.on_commit(_callers.forget, using=using)


def known_caller(key: str) -> Caller | None:
    """Who holds this token, if that was asked for a moment ago."""
    return _callers.get(key)


def caller_of(key: str) -> Caller:
    """Who holds this token.

    Raises: AuthenticationFailed; database errors.
    """
    caller = _callers.get(key)
    if caller is None:
        generation = _callers.generation
        caller = _looked_up(key)
        _callers.remember(key, caller, generation)
    return caller


def _looked_up(key: str) -> Caller:
    found = None
    if key.isalnum():  # PostgreSQL refuses a NUL in a text, and no token holds anything else
        with connection.cursor() as cursor:
            cursor.execute(CALLER_OF_KEY, [key])
            found = cursor.fetchone()
    if found is None:
        raise AuthenticationFailed("the token is not valid")
    user_id, is_active, customer_id = found
    if not is_active:
        raise AuthenticationFailed("the user is not active")
    return Caller(user_id, customer_id)


class CustomerTokenAuthentication(TokenAuthentication):
    """`Authorization: Token ...`."""

    def authenticate_credentials(self, key: str) -> tuple[Any, str]:
        return caller_of(key), key


class CustomerSessionAuthentication(SessionAuthentication):
    """The session of the pages, with Django's CSRF check."""

    def authenticate(self, request: Request) -> tuple[Any, None] | None:
        known = super().authenticate(request)
        if known is None:
            return None
        user_id = known[0].pk
        customer_id = Customer.objects.filter(user_id=user_id).values_list("pk", flat=True).first()
        return Caller(user_id, customer_id), None


class IsCustomer(BasePermission):
    """Lets in users who have a customer record; staff without one use the admin."""

    code = "customer_required"
    message = "these credentials belong to nobody with an account here"

    def has_permission(self, request: Request, view: APIView) -> bool:
        return getattr(request.user, "customer_id", None) is not None
