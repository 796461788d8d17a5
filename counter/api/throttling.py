"""What is asked before a request is carried out: whether its signature was used, and how fast its customer may ask."""

from typing import Any

from django.conf import settings
from rest_framework.request import Request
from rest_framework.throttling import BaseThrottle

from counter.access.admission import Asking, SignatureUse, admissions
from counter.access.rate_limit import of_customer
from counter.api.auth import Caller


class AdmissionThrottle(BaseThrottle):
    """Takes the request's signature, and one request of what its customer and key have left; tells the view of it."""

    def allow_request(self, request: Request, view: Any) -> bool:
        """True: what is not let through is raised, with where its limit stands.

        Raises: AdmissionRefused; QueueFull, OutcomeUnknown.
        """
        caller: Any = request.user
        use = request.auth if isinstance(request.auth, SignatureUse) else None
        asking = asking_of(caller, use, counts=request.method not in view.unpaced_methods)
        if asking.use or asking.limits:
            view.standing = admissions.admit(asking)
        return True


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
