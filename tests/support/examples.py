"""How many examples Hypothesis tries: few and always the same ones, or with FUZZ=20 twenty times as many new ones."""

import os

from hypothesis import settings

TIMES = int(os.environ.get("FUZZ", "0"))
EACH = 40


def examples(usual: int) -> int:
    """`max_examples` of a test that needs another number than `EACH`."""
    return usual * (TIMES or 1)


settings.register_profile("usual", max_examples=EACH, derandomize=True, deadline=None)
settings.register_profile("fuzz", max_examples=examples(EACH), deadline=None, print_blob=True)
settings.load_profile("fuzz" if TIMES else "usual")
