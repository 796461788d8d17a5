"""What the plumbing itself has to remember."""

from django.db import models


class Lease(models.Model):
    """Who leads at one name. Each database has this table: a lease lies beside what its holder writes.

    `token` grows with each term, so that what an earlier holder writes late is known by it. Times are the database's.
    """

    name = models.CharField(max_length=16, primary_key=True)
    token = models.BigIntegerField()
    holder = models.CharField(max_length=120)
    won_at = models.DateTimeField()
    renewed_at = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.name}: {self.holder}"


class Canary(models.Model):
    """The last canary task that came back from a queue. Both times are the database's, never those of two machines."""

    queue = models.CharField(max_length=64, primary_key=True)
    sent_at = models.DateTimeField()
    returned_at = models.DateTimeField()

    class Meta:
        verbose_name_plural = "canaries"

    def __str__(self) -> str:
        return self.queue
