"""`manage.py staff_key`: make, end or list keys with which a program of a member of staff reads `/staff/v1/`."""

from datetime import datetime, timedelta
from typing import Any

from django.contrib.auth import get_user_model
from django.core.management.base import BaseCommand, CommandError, CommandParser

from cockpit import staff_keys
from cockpit.models import StaffKey
from infra.coordination import clock

DAYS = 90
DAYS_AT_MOST = 3650
LABEL_CHARACTERS = 64


class Command(BaseCommand):
    """Door to `cockpit.staff_keys`."""

    help = "Make a key for a member of staff's program (printed once), end it (--end), or list all (--list)"

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("username", nargs="?", help="whose key; --list without one has everybody's")
        parser.add_argument(
            "--label", default="program", help="what the key is for; it is ended by that name"
        )
        parser.add_argument(
            "--days", type=int, default=DAYS, help=f"for how long it is good; {DAYS} unless given"
        )
        what = parser.add_mutually_exclusive_group()
        what.add_argument("--end", action="store_true", help="end the keys of that label, at once")
        what.add_argument(
            "--list", dest="is_list", action="store_true", help="who has which keys, and until when"
        )

    def handle(
        self,
        *args: Any,
        username: str | None,
        label: str,
        days: int,
        end: bool,
        is_list: bool,
        **options: Any,
    ) -> None:
        now = clock.of("default").now()
        user = get_user_model().objects.filter(username=username).first()
        if user is None and (username is not None or not is_list):
            raise CommandError("whose key?" if username is None else f"there is no {username}")
        if is_list:
            self._list(user, now)
        elif end:
            self._end(user, label, now)
        else:
            self._make(user, label, days, now)

    def _list(self, user: Any, now: datetime) -> None:
        rows = StaffKey.objects.select_related("user").order_by("user__username", "label", "id")
        for key in rows if user is None else rows.filter(user=user):
            made = f"made {key.created_at:%Y-%m-%d %H:%M} UTC"
            self.stdout.write(
                f"{key.user.get_username()}  {key.label}  {made}  {staff_keys.use_of(key)}  "
                f"{staff_keys.state_of(key, now=now)}"
            )

    def _end(self, user: Any, label: str, now: datetime) -> None:
        ended = staff_keys.end(user=user, label=label, now=now)
        if not ended:
            raise CommandError(
                f"nothing was ended: {user.get_username()} has no key {label} that has not been; see --list"
            )
        self.stdout.write(f"{ended} ended")

    def _make(self, user: Any, label: str, days: int, now: datetime) -> None:
        if len(label) > LABEL_CHARACTERS or not 1 <= days <= DAYS_AT_MOST:
            raise CommandError(
                f"a label has {LABEL_CHARACTERS} characters at most, and a key is good for 1 to {DAYS_AT_MOST} days"
            )
        expires_at = now + timedelta(days=days)
        try:
            key = staff_keys.issue(user=user, label=label, now=now, expires_at=expires_at)
        except ValueError as refusal:
            raise CommandError(str(refusal)) from refusal
        self.stdout.write(key)
