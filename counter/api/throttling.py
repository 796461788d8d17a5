"""What is asked before a request is carried out: whether its signature was used, and how fast its customer may ask.

Who asks without credentials, where that may be, counts by address.
"""

from typing import Any

from django.conf import settings
from django.utils.crypto import salted_hmac
from rest_framework.request import Request
from rest_framework.throttling import BaseThrottle

from counter.access.admission import Asking, SignatureUse, admissions
from counter.access.rate_limit import Limit, of_customer, of_public
from counter.api.addresses import holder_in
from counter.api.auth import Caller

BUCKET_DIGITS = 5  # of a million subjects at most: many addresses do not fill a table


class AdmissionThrottle(BaseThrottle):
    """Takes the request's signature, and one request of what its customer and key have left; tells the view of it."""

    def allow_request(self, request: Request, view: Any) -> bool:
        """True: what is not let through is raised, with where its limit stands.

        Raises: AdmissionRefused; QueueFull, OutcomeUnknown.
        """
        caller: Any = request.user
        if not isinstance(caller, Caller):
            view.standing = admissions.admit(Asking(limits=(_of_address(request),)))
            return True
        use = request.auth if isinstance(request.auth, SignatureUse) else None
        asking = asking_of(caller, use, counts=request.method not in view.unpaced_methods)
        if asking.use or asking.limits:
            view.standing = admissions.admit(asking)
        return True


def _of_address(request: Request) -> Limit:
    return of_public(
        bucket_of(holder_in(request)),
        per_second=settings.PUBLIC_REQUESTS_PER_SECOND,
        at_once=settings.PUBLIC_REQUESTS_AT_ONCE,
    )


def bucket_of(holder: str) -> str:
    """The bucket of an address. By a secret: else who has many addresses could pick one that shares a victim's."""
    return salted_hmac(__name__, holder, algorithm="sha256").hexdigest()[:BUCKET_DIGITS]


def asking_of(caller: Caller, use: SignatureUse | None, *, counts: bool) -> Asking:
    """What has to be asked before a request is carried out; `counts` against the requests of its customer."""
    limits = caller.limits
    if counts and caller.customer_id is not None:
        limits += (
            of_customer(
                caller.customer_id,
                per_second=settings.REQUESTS_PER_SECOND,
                at_once=settings.REQUESTS_AT_ONCE,
            ),
        )
    return Asking(use, limits)
