"""Keys by which programs of staff read `/staff/v1/`: made and ended at the console, told once, kept as a hash.

A key reads what its user may see, and nothing else: it opens neither the admin nor the customers' API, and a
customer's token or key opens nothing here.
"""

import hashlib
import secrets
from datetime import datetime, timedelta
from typing import Any

import structlog
from django.db import Error
from django.db.models import Q

from cockpit.models import StaffKey
from infra.db.transient_errors import is_transient, leave_session

log = structlog.get_logger(__name__)

PREFIX = "staff_"
KEY_BYTES = 32
NOTED_EVERY = timedelta(minutes=1)


def issue(*, user: Any, label: str, now: datetime, expires_at: datetime | None = None) -> str:
    """Make a key for a member of staff; the answer is told once, and kept nowhere.

    Raises: ValueError for somebody who is no active member of staff.
    """
    if not (user.is_staff and user.is_active):
        raise ValueError(f"{user.get_username()} is no active member of staff")
    key = PREFIX + secrets.token_urlsafe(KEY_BYTES)
    made = StaffKey.objects.create(
        user=user, label=label, digest=digest_of(key), created_at=now, expires_at=expires_at
    )
    log.info(
        "staff key made",
        key=made.pk,
        user=user.get_username(),
        label=label,
        expires_at=expires_at and expires_at.isoformat(),
    )
    return key


def end(*, user: Any, label: str, now: datetime) -> int:
    """End the keys of that label, at once; how many there were that had not been ended."""
    ended = StaffKey.objects.filter(user=user, label=label, ended_at__isnull=True).update(ended_at=now)
    if ended:
        log.info("staff keys ended", keys=ended, user=user.get_username(), label=label)
    return ended


def state_of(key: StaffKey, *, now: datetime) -> str:
    """Whether a key is good, in words: ended, expired, good until then, or without an end."""
    if key.ended_at is not None:
        return f"ended {key.ended_at:%Y-%m-%d %H:%M} UTC"
    if key.expires_at is None:
        return "good without an end"
    return f"{'expired' if key.expires_at <= now else 'good until'} {key.expires_at:%Y-%m-%d %H:%M} UTC"


def use_of(key: StaffKey) -> str:
    """When it was used last, in words."""
    return "never used" if key.last_used_at is None else f"used {key.last_used_at:%Y-%m-%d %H:%M} UTC"


def good_key(key: str, *, now: datetime) -> StaffKey | None:
    """The key with its user; None of a wrong or ended key, or of somebody who is no active member of staff any more.

    Raises: DatabaseError.
    """
    if not key.startswith(PREFIX):
        return None
    found = (
        StaffKey.objects.filter(
            digest=digest_of(key), ended_at__isnull=True, user__is_active=True, user__is_staff=True
        )
        .select_related("user")
        .first()
    )
    if found is None or (found.expires_at is not None and found.expires_at <= now):
        return None
    _note_use(found, now)
    return found


def _note_use(key: StaffKey, now: datetime) -> None:
    """Write down that a key was used, once a minute; by whichever request comes first, and none depends on it."""
    if key.last_used_at is not None and abs(now - key.last_used_at) < NOTED_EVERY:
        return
    lately = Q(last_used_at__gt=now - NOTED_EVERY, last_used_at__lt=now + NOTED_EVERY)
    try:
        StaffKey.objects.filter(pk=key.pk).exclude(lately).update(last_used_at=now)
    except Error as error:
        if is_transient(error):
            leave_session(error)
        log.warning("last use of a staff key could not be noted", key=key.pk, error=repr(error))


def digest_of(key: str) -> str:
    """What is kept of a key: it is random enough that a plain hash tells nothing of it."""
    return hashlib.sha256(key.encode()).hexdigest()
