"""Who is asking: from the credentials to the customer by one plain query, remembered for five seconds.

A revoked token, key or user is out at once in the process that revoked it, and within that time everywhere.
"""

from collections.abc import Callable
from dataclasses import dataclass
from threading import Lock
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar

from cachetools import TTLCache
from django.conf import settings
from django.contrib.auth import get_user_model
from django.db import connection, transaction
from django.db.models.signals import post_delete, post_save
from django.dispatch import receiver
from django.http import QueryDict
from django.utils.datastructures import MultiValueDict
from rest_framework.authentication import SessionAuthentication, TokenAuthentication
from rest_framework.authtoken.models import Token
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.permissions import SAFE_METHODS, BasePermission
from rest_framework.request import Request

from counter.access.rate_limit import Limit
from counter.models import ApiKey, Customer

if TYPE_CHECKING:
    from rest_framework.views import APIView  # which imports what the settings name, this module among it

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


PUBLIC_METHODS = ("GET", "HEAD")
T = TypeVar("T")
ALL_SCOPES = frozenset(ApiKey.Scope)


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks, in place of Django's user; `customer_id` is None for who has no account.

    `scopes` and `limits` are those of the key that signed; without one the customer may do all that is theirs.
    """

    pk: int
    customer_id: int | None
    scopes: frozenset[str] = ALL_SCOPES
    limits: tuple[Limit, ...] = ()
    is_authenticated: ClassVar[bool] = True
    is_active: ClassVar[bool] = True


class Remembered(Generic[T]):
    """Who was found to hold which credentials within the last REMEMBERED_FOR_SECONDS."""

    def __init__(self) -> None:
        self.generation = 0  # of the credentials: what was looked up in an earlier one is not remembered
        self._known: TTLCache[str, T] = TTLCache(REMEMBERED_CALLERS, REMEMBERED_FOR_SECONDS)
        self._lock = Lock()

    def get(self, key: str) -> T | None:
        with self._lock:
            try:
                return self._known[key]  # its `get` looks twice
            except KeyError:
                return None

    def found(self, key: str, look_up: Callable[[str], T]) -> T:
        """Look it up, and remember it unless something has changed meanwhile."""
        generation = self.generation
        holder = look_up(key)
        with self._lock:
            if generation == self.generation:
                self._known[key] = holder
        return holder

    def forget(self) -> None:
        with self._lock:
            self.generation += 1
            self._known.clear()

    def forget_from_commit(self, using: str) -> None:
        """Forget now, and again once others see what has changed."""
        self.forget()
        transaction.on_commit(self.forget, using=using)


_callers: Remembered[Caller] = Remembered()
_of_users: list[Remembered[Any]] = [_callers]


def forgetting(remembered: Remembered[Any]) -> None:
    """Have it forgotten as well when a user changes."""
    _of_users.append(remembered)


@receiver([post_save, post_delete], sender=get_user_model())
def forget_users(using: str, **signal: Any) -> None:
    """Look everybody up anew: a user has changed."""
    for remembered in _of_users:
        remembered.forget_from_commit(using)


@receiver([post_save, post_delete], sender=Token)
def forget_callers(using: str, **signal: Any) -> None:
    """Look every token up anew: one of them has changed."""
    _callers.forget_from_commit(using)


def known_caller(key: str) -> Caller | None:
    """Who holds this token, if that was asked for a moment ago."""
    return _callers.get(key)


def caller_of(key: str) -> Caller:
    """Who holds this token.

    Raises: AuthenticationFailed; database errors.
    """
    return _callers.get(key) or _callers.found(key, _looked_up)


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
    """`Authorization: Token ...`, for as long as tokens count (`API_TOKENS`)."""

    def authenticate_credentials(self, key: str) -> tuple[Any, str]:
        if not settings.API_TOKENS:
            raise AuthenticationFailed("tokens are switched off here: sign with an API key")
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

    def enforce_csrf(self, request: Request) -> None:
        """The token comes as a header: no form is taken here, and none is read before it is known who asks.

        Raises: PermissionDenied.
        """
        plain: Any = request._request
        plain._post, plain._files = QueryDict(), MultiValueDict()
        super().enforce_csrf(plain)


class IsCustomer(BasePermission):
    """Lets in users who have a customer record; staff without one use the admin."""

    code = "customer_required"
    message = "these credentials belong to nobody with an account here"

    def has_permission(self, request: Request, view: "APIView") -> bool:
        return getattr(request.user, "customer_id", None) is not None


class ReadsOrIsCustomer(IsCustomer):
    """Lets in who gives no credentials to read, and else customers only: of the market, which everybody may know."""

    def has_permission(self, request: Request, view: "APIView") -> bool:
        return reads_without(request) or super().has_permission(request, view)


class HasScope(BasePermission):
    """Lets in keys that may do such a thing: `read` asks, `trade` changes something.

    A view whose changes tell what only `read` may ask for names it in `changes_need_too`.
    """

    code = "scope_required"

    def has_permission(self, request: Request, view: "APIView") -> bool:
        if reads_without(request):  # `IsCustomer` has let it through
            return True
        caller: Any = request.user
        needed = [scope_of(request.method or "")]
        if request.method not in SAFE_METHODS:
            needed += getattr(view, "changes_need_too", ())
        held = caller.scopes if isinstance(caller, Caller) else ()
        for scope in needed:
            if scope not in held:
                self.message = f"the API key lacks the `{scope}` scope"
                return False
        return True


def reads_without(request: Request) -> bool:
    """Whether a request reads and gives no credentials."""
    return request.method in PUBLIC_METHODS and not request.user.is_authenticated


def scope_of(method: str) -> str:
    """The scope that a request by this method needs."""
    return ApiKey.Scope.READ if method in SAFE_METHODS else ApiKey.Scope.TRADE
