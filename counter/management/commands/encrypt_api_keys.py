"""Encrypt the kept secrets of API keys and webhooks under the first of API_KEYS_SECRET, so that the others can go."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import transaction

from counter.access import api_keys, webhook_endpoints
from counter.access.sealing import SecretUnreadable


class Command(BaseCommand):
    """To be run once every program has the new list; may be run again."""

    help = "Encrypt the secrets of customers' API keys and of webhooks under the first of API_KEYS_SECRET."

    def handle(self, **options: Any) -> None:
        try:
            with transaction.atomic():
                count, endpoints = api_keys.encrypt_anew(), webhook_endpoints.encrypt_anew()
        except SecretUnreadable as error:
            raise CommandError(
                f"{error} was encrypted under none of API_KEYS_SECRET; nothing was changed"
            ) from error
        self.stdout.write(f"{count} keys encrypted, {endpoints} webhook endpoints")
