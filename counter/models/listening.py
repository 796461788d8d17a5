"""Who listens: what each process that streams says of itself."""

from django.db import models


class StreamProcess(models.Model):
    """A process of the stream program, by machine and number; counts are since it started."""

    name = models.CharField(max_length=120, primary_key=True)
    started_at = models.DateTimeField()
    seen_at = models.DateTimeField()
    listeners = models.IntegerField()
    customers = models.IntegerField()
    opened = models.BigIntegerField()
    events = models.BigIntegerField()
    too_slow = models.BigIntegerField()
    revoked = models.BigIntegerField()

    class Meta:
        verbose_name_plural = "stream processes"

    def __str__(self) -> str:
        return self.name
