"""What has been used of the desk's signed calls."""

from django.db import models


class UsedNonce(models.Model):
    """A nonce that was taken; until `valid_until` its signature would be accepted otherwise."""

    nonce = models.CharField(max_length=64, primary_key=True)
    valid_until = models.DateTimeField()

    class Meta:
        indexes = [models.Index(fields=["valid_until"], name="nonce_valid_until")]

    def __str__(self) -> str:
        return self.nonce
