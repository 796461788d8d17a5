"""What the index was not made of: samples that were rejected, counted."""

from django.db import models


class IndexRejection(models.Model):
    """How many samples of a coin were rejected for one cause, by source, and what the latest of them was."""

    source = models.CharField(max_length=64)
    underlying = models.CharField(max_length=8)
    cause = models.CharField(max_length=16)
    count = models.BigIntegerField()
    bid = models.CharField(max_length=32, blank=True)  # as the source wrote it, which need not be a number
    ask = models.CharField(max_length=32, blank=True)
    first_at = models.DateTimeField()
    last_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["source", "underlying", "cause"], name="index_rejection_once")
        ]

    def __str__(self) -> str:
        return f"{self.source} {self.underlying}: {self.cause}"
