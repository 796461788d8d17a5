"""What happened, append-only: every change of state and every call to the venue."""

from django.contrib.postgres.functions import RandomUUID
from django.db import models


class Subject(models.TextChoices):
    CONVERSION = "conversion"
    FUNDS_TRANSFER = "funds_transfer"
    CONFLICT = "conflict"
    INTERVENTION = "intervention"
    BREAK = "break"
    ORDER = "accepted_order"
    HALT = "venue_halt"
    CLEARING_PAYMENT = "clearing_payment"


class StateChange(models.Model):
    """Who moved what from where to where, when and why. Append-only."""

    subject = models.CharField(max_length=16, choices=Subject)
    subject_id = models.BigIntegerField()
    from_state = models.CharField(max_length=12, blank=True)  # blank: it was created
    to_state = models.CharField(max_length=12)
    at = models.DateTimeField()
    by = models.CharField(max_length=64)
    why = models.TextField(blank=True)

    class Meta:
        indexes = [models.Index(fields=["subject", "subject_id", "id"], name="state_change_subject")]

    def __str__(self) -> str:
        return f"{self.subject} {self.subject_id}: {self.from_state} -> {self.to_state}"


class Attempt(models.Model):
    """One call to the venue: stored before it is made, completed with the raw answer and its verdict after."""

    class Call(models.TextChoices):
        SUBMIT = "submit"
        ASK = "ask"
        TRANSFER = "transfer"
        ASK_TRANSFER = "ask_transfer"

    request_id = models.UUIDField(null=True, db_default=RandomUUID())  # what logs call it by
    venue = models.CharField(max_length=32, db_default="")
    subject = models.CharField(max_length=16, choices=Subject)
    subject_id = models.BigIntegerField()
    call = models.CharField(max_length=12, choices=Call)
    request = models.JSONField()  # redacted: never a key or a signature
    sent_at = models.DateTimeField()
    answered_at = models.DateTimeField(null=True)
    outcome = models.CharField(max_length=8, blank=True)
    follow = models.CharField(max_length=16, blank=True, db_default="")  # of a failure
    code = models.CharField(max_length=64, blank=True)  # the kind of failure and the venue's code
    http_status = models.SmallIntegerField(null=True)  # of a failure
    answer = models.TextField(blank=True)

    class Meta:
        indexes = [models.Index(fields=["subject", "subject_id", "id"], name="attempt_subject")]

    def __str__(self) -> str:
        return f"{self.call} {self.subject} {self.subject_id}: {self.outcome or 'open'}"
