"""Webhooks: who is told of what, what waits to be told, and each attempt to tell it.

No row has a foreign key to an endpoint: it would have every batch of orders lock the endpoint's row.
"""

from django.contrib.postgres.fields import ArrayField
from django.db import models

from counter.models.accounts import Customer


class WebhookEndpoint(models.Model):
    """Where events of a customer are sent; without a customer it is the exchange's, which hears of all of them.

    Secrets are kept encrypted. For a while after a rotation `encrypted_previous` signs too. `open_at`: before it
    nothing is sent, because the receiver failed or asked for it. `failures` and `failing_since` count from its last
    success. A row stays when it is deleted, for the deliveries that name it.
    """

    class Disabled(models.TextChoices):
        NOT = "", "no"
        CUSTOMER = "customer", "by the customer"
        STAFF = "staff", "by staff"
        GONE = "gone", "the receiver answered 410"

    public_id = models.CharField(max_length=32, unique=True)
    customer = models.ForeignKey(Customer, null=True, blank=True, on_delete=models.PROTECT, db_index=False)
    url = models.CharField(max_length=500)
    label = models.CharField(max_length=64, blank=True)
    types = ArrayField(models.CharField(max_length=32), default=list, blank=True)  # none: all
    encrypted_secret = models.TextField()
    encrypted_previous = models.TextField(blank=True)
    previous_until = models.DateTimeField(null=True)
    created_at = models.DateTimeField()
    disabled = models.CharField(max_length=8, choices=Disabled, blank=True, default=Disabled.NOT)
    disabled_at = models.DateTimeField(null=True)
    paused_at = models.DateTimeField(null=True)
    deleted_at = models.DateTimeField(null=True)
    failures = models.IntegerField(default=0)
    failing_since = models.DateTimeField(null=True)
    open_at = models.DateTimeField(null=True)
    last_ms = models.IntegerField(default=0)  # how long it took to answer last

    class Meta:
        permissions = [("operate_webhookendpoint", "Can make, stop and rotate webhook endpoints")]
        indexes = [
            # What every batch of orders looks into: it holds those that hear.
            models.Index(
                fields=["customer"],
                name="webhook_endpoint_hears",
                condition=models.Q(disabled="", deleted_at__isnull=True),
            ),
            models.Index(fields=["customer", "-id"], name="webhook_endpoint_customer"),
        ]

    def __str__(self) -> str:
        return f"{self.label} {self.url}".strip()


class WebhookDelivery(models.Model):
    """One event for one endpoint; written in the transaction that makes the event true.

    `subject_id` is the row that it is about, of which `body` is made just before it is first sent. It waits as long as
    `due_at` is set: the next attempt is due then. While an attempt is under way that lies ahead, so that one whose
    process died is made again.
    """

    type = models.CharField(max_length=32)
    subject_id = models.BigIntegerField()
    endpoint = models.ForeignKey(
        WebhookEndpoint, on_delete=models.DO_NOTHING, db_constraint=False, db_index=False
    )
    customer = models.ForeignKey(Customer, on_delete=models.DO_NOTHING, db_constraint=False, db_index=False)
    event_id = models.CharField(max_length=40, blank=True, default="", db_default="")
    body = models.TextField(blank=True, default="", db_default="")
    happened_at = models.DateTimeField()
    due_at = models.DateTimeField(null=True)
    retry_until = models.DateTimeField()
    attempts = models.IntegerField(default=0, db_default=0)
    last_status = models.IntegerField(null=True)
    delivered_at = models.DateTimeField(null=True)
    gave_up_at = models.DateTimeField(null=True)

    class Meta:
        verbose_name_plural = "webhook deliveries"
        permissions = [("resend_webhookdelivery", "Can send webhooks again")]
        constraints = [
            models.UniqueConstraint(fields=["endpoint", "type", "subject_id"], name="webhook_delivery_once"),
        ]
        indexes = [
            models.Index(
                fields=["endpoint", "due_at"],
                name="webhook_delivery_due",
                condition=models.Q(due_at__isnull=False),
            ),
            models.Index(
                fields=["endpoint", "retry_until"],
                name="webhook_delivery_waits",
                condition=models.Q(due_at__isnull=False),
            ),
            models.Index(fields=["endpoint", "-id"], name="webhook_delivery_endpoint"),
            models.Index(
                fields=["event_id"], name="webhook_delivery_event", condition=~models.Q(event_id="")
            ),
            models.Index(
                fields=["id"], name="webhook_delivery_gave_up", condition=models.Q(gave_up_at__isnull=False)
            ),
            models.Index(fields=["customer", "-id"], name="webhook_delivery_customer"),
        ]

    def __str__(self) -> str:
        return f"{self.type} {self.subject_id}"


class WebhookAttempt(models.Model):
    """One attempt to deliver: delivered, refused, or unknown, when nobody can say whether the receiver has it.

    `told` is the beginning of the receiver's answer, or what went wrong.
    """

    class Outcome(models.TextChoices):
        DELIVERED = "delivered"
        REFUSED = "refused"
        UNKNOWN = "unknown"

    delivery = models.ForeignKey(WebhookDelivery, on_delete=models.CASCADE, related_name="tries")
    number = models.IntegerField()
    at = models.DateTimeField()
    outcome = models.CharField(max_length=9, choices=Outcome)
    status = models.IntegerField(null=True)
    took_ms = models.IntegerField()
    told = models.CharField(max_length=500, blank=True)

    def __str__(self) -> str:
        return f"{self.number}: {self.outcome}"
