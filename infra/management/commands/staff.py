"""Make a member of staff, or change what one may do: at the console only, so that nobody in the admin gains rights."""

import secrets
from typing import Any

from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import transaction

PASSWORD_BYTES = 15


class Command(BaseCommand):
    help = "Make a member of staff with roles (a first password is printed once), or give one other roles"

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("username")
        parser.add_argument(
            "--role", action="append", default=[], help="viewer, operator, approver or a group of your own"
        )
        parser.add_argument("--inactive", action="store_true", help="shut out")

    def handle(self, *args: Any, username: str, role: list[str], inactive: bool, **options: Any) -> None:
        groups = list(Group.objects.filter(name__in=role))
        if missing := set(role) - {group.name for group in groups}:
            raise CommandError(f"there is no role {', '.join(sorted(missing))}")
        password = None
        with transaction.atomic():
            user: Any = get_user_model().objects.select_for_update().filter(username=username).first()
            if user is not None and hasattr(user, "customer"):
                raise CommandError(f"{username} is a customer")
            if user is None:
                password = secrets.token_urlsafe(PASSWORD_BYTES)
                user = get_user_model().objects.create_user(username, password=password)
            user.is_staff, user.is_active = True, not inactive
            user.save(update_fields=["is_staff", "is_active"])
            user.groups.set(groups)
        self.stdout.write(
            f"{username}: {', '.join(sorted(role)) or 'no role'}{', shut out' if inactive else ''}"
        )
        if password is not None:
            self.stdout.write(f"First password, to be changed at /admin/password_change/: {password}")
