"""Keys with which customers' programs sign their requests, and how fast each customer and key may go on asking."""

from django.contrib.postgres.fields import ArrayField
from django.core.validators import MinValueValidator
from django.db import models

from counter.models.accounts import Customer


class ApiKey(models.Model):
    """What a customer's program signs with: `public_id` travels, the secret is kept encrypted and told only once.

    `encrypted_secret` is blank until the customer has collected the secret; until then the key opens nothing.

    `networks` (CIDR) are where it may come from, none of them meaning anywhere. `requests_per_second` limits all that
    is signed with it; without one only the customer's own limits count.
    """

    class Scope(models.TextChoices):
        READ = "read", "read: prices, orders, positions, ledger"
        TRADE = "trade", "trade: firm quotes and orders"

    customer = models.ForeignKey(Customer, on_delete=models.PROTECT, related_name="api_keys")
    label = models.CharField(max_length=64)
    public_id = models.CharField(max_length=32, unique=True)
    encrypted_secret = models.TextField()  # blank: not collected
    scopes = ArrayField(models.CharField(max_length=8, choices=Scope))
    networks = ArrayField(models.CharField(max_length=43), default=list, blank=True)
    requests_per_second = models.PositiveIntegerField(
        null=True, blank=True, validators=[MinValueValidator(1)]
    )
    created_at = models.DateTimeField()
    expires_at = models.DateTimeField(null=True, blank=True)
    last_used_at = models.DateTimeField(null=True)
    revoked_at = models.DateTimeField(null=True)

    class Meta:
        permissions = [("issue_apikey", "Can make and revoke customers' API keys")]
        constraints = [
            models.CheckConstraint(condition=models.Q(scopes__len__gt=0), name="api_key_may_do_something"),
            models.CheckConstraint(
                condition=models.Q(requests_per_second__gt=0), name="api_key_rate_positive"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.label} ({self.public_id})"


class Pace(models.Model):
    """How far ahead of its rate a customer or a key has asked (GCRA); lost with a crash, which costs nobody anything.

    `tat_us` is the theoretical arrival time in µs of the epoch, `granted` of the last statement that asked.
    """

    subject = models.CharField(max_length=24, primary_key=True)
    tat_us = models.BigIntegerField()
    every_us = models.BigIntegerField()
    burst = models.BigIntegerField()
    granted = models.BigIntegerField()

    def __str__(self) -> str:
        return self.subject
