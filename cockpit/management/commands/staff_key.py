"""`manage.py staff_key`: make or end a key with which a program of a member of staff reads `/staff/v1/`."""

from datetime import timedelta
from typing import Any

from django.contrib.auth import get_user_model
from django.core.management.base import BaseCommand, CommandError, CommandParser

from cockpit import staff_keys
from infra.coordination import clock


class Command(BaseCommand):
    """Door to `cockpit.staff_keys`."""

    help = "Make a key for a member of staff's program (printed once), or end it: --end"

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("username")
        parser.add_argument(
            "--label", default="program", help="what the key is for; it is ended by that name"
        )
        parser.add_argument("--days", type=int, help="for how long it is good; without an end unless given")
        parser.add_argument("--end", action="store_true", help="end the keys of that label, at once")

    def handle(
        self, *args: Any, username: str, label: str, days: int | None, end: bool, **options: Any
    ) -> None:
        user = get_user_model().objects.filter(username=username).first()
        if user is None:
            raise CommandError(f"there is no {username}")
        if len(label) > 64 or (days is not None and not 1 <= days <= 3650):
            raise CommandError("a label has 64 characters at most, and a key is good for 1 to 3650 days")
        now = clock.of("default").now()
        if end:
            ended = staff_keys.end(user=user, label=label, now=now)
            self.stdout.write(f"{ended} ended")
            return
        expires_at = None if days is None else now + timedelta(days=days)
        try:
            key = staff_keys.issue(user=user, label=label, now=now, expires_at=expires_at)
        except ValueError as refusal:
            raise CommandError(str(refusal)) from refusal
        self.stdout.write(key)
