"""Give a member of staff a second factor for the admin, and recovery codes."""

from base64 import b32encode
from typing import Any

from django.contrib.auth import get_user_model
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import transaction
from django_otp.plugins.otp_static.models import StaticDevice, StaticToken
from django_otp.plugins.otp_totp.models import TOTPDevice

RECOVERY_CODES = 8


class Command(BaseCommand):
    help = "Print an authenticator's key and recovery codes for a user, once: neither can be shown again"

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("username")
        parser.add_argument("--again", action="store_true", help="replace what the user has: a lost phone")

    def handle(self, *args: Any, username: str, again: bool, **options: Any) -> None:
        users = get_user_model()
        try:
            user = users.objects.get_by_natural_key(username)
        except users.DoesNotExist as error:
            raise CommandError(f"there is no user {username}") from error
        with transaction.atomic():
            users.objects.select_for_update().get(pk=user.pk)
            if TOTPDevice.objects.filter(user=user).exists() and not again:
                raise CommandError(f"{username} has a second factor; --again replaces it")
            for kind in (TOTPDevice, StaticDevice):
                kind.objects.filter(user=user).delete()
            device = TOTPDevice.objects.create(user=user, name="authenticator")
            codes = StaticDevice.objects.create(user=user, name="recovery codes")
            tokens = [StaticToken.random_token() for _ in range(RECOVERY_CODES)]
            StaticToken.objects.bulk_create(StaticToken(device=codes, token=token) for token in tokens)
        key = b32encode(device.bin_key).decode().rstrip("=")
        self.stdout.write(f"For the authenticator, as a key or an address:\n  {key}\n  {device.config_url}")
        self.stdout.write("Recovery codes, each good for one login:")
        for token in tokens:
            self.stdout.write(f"  {token}")
