"""Encrypt the secrets of all API keys under the first of API_KEYS_SECRET, so that the others can be dropped."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from counter.access import api_keys


class Command(BaseCommand):
    """To be run once every program has the new list; may be run again."""

    help = "Encrypt the secrets of customers' API keys under the first of API_KEYS_SECRET."

    def handle(self, **options: Any) -> None:
        try:
            count = api_keys.encrypt_anew()
        except api_keys.SecretUnreadable as error:
            raise CommandError(
                f"{error} was encrypted under none of API_KEYS_SECRET; nothing was changed"
            ) from error
        self.stdout.write(f"{count} keys encrypted")
