"""Keys by which programs of staff read `/staff/v1/`: made and ended at the console, told once, kept as a hash.

A key reads what its user may see, and nothing else: it opens neither the admin nor the customers' API, and a
customer's token or key opens nothing here.
"""

import hashlib
import secrets
from datetime import datetime
from typing import Any

from django.contrib.auth import get_user_model

from cockpit.models import StaffKey

PREFIX = "staff_"
KEY_BYTES = 32


def issue(*, user: Any, label: str, now: datetime, expires_at: datetime | None = None) -> str:
    """Make a key for a member of staff; the answer is told once, and kept nowhere.

    Raises: ValueError for somebody who is no active member of staff.
    """
    if not (user.is_staff and user.is_active):
        raise ValueError(f"{user.get_username()} is no active member of staff")
    key = PREFIX + secrets.token_urlsafe(KEY_BYTES)
    StaffKey.objects.create(
        user=user, label=label, digest=digest_of(key), created_at=now, expires_at=expires_at
    )
    return key


def end(*, user: Any, label: str, now: datetime) -> int:
    """End the keys of that label, at once; how many there were."""
    return StaffKey.objects.filter(user=user, label=label, ended_at__isnull=True).update(ended_at=now)


def user_of(key: str, *, now: datetime) -> Any | None:
    """The member of staff whose key that is; None of a wrong or ended key, or of somebody who is no staff any more.

    Raises: DatabaseError.
    """
    if not key.startswith(PREFIX):
        return None
    found = StaffKey.objects.filter(digest=digest_of(key), ended_at__isnull=True).first()
    if found is None or (found.expires_at is not None and found.expires_at <= now):
        return None
    return get_user_model().objects.filter(pk=found.user_id, is_active=True, is_staff=True).first()


def digest_of(key: str) -> str:
    """What is kept of a key: it is random enough that a plain hash tells nothing of it."""
    return hashlib.sha256(key.encode()).hexdigest()
