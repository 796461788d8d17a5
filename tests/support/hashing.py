"""Passwords of tests are hashed as in production, with few rounds: they protect nothing, and logins are many."""

from django.contrib.auth.hashers import PBKDF2PasswordHasher


class Quick(PBKDF2PasswordHasher):
    """Other processes read its hashes too, for the rounds stand in them."""

    iterations = 1_000
