"""`python -m tests.support.bursting NOW`: a process whose six threads ask ten times each; it prints how often it may.

It says `ready`, and begins when it is told a line; its clock stands at NOW.
"""

import os
import sys
import threading
from datetime import datetime

PER_SECOND, AT_ONCE = 1, 20
THREADS, TIMES = 6, 10


def main() -> None:
    os.environ["DJANGO_SETTINGS_MODULE"] = "config.settings"
    import django

    django.setup()
    from counter.access.admission import Admissions, Asking, TooFast
    from counter.access.rate_limit import Limit

    now = datetime.fromisoformat(sys.argv[1])
    admissions, may = Admissions(clock=lambda: now), []

    def ask() -> None:
        for _ in range(TIMES):
            try:
                standing = admissions.admit(Asking(limits=(Limit("customer:1", PER_SECOND, AT_ONCE),)))
            except TooFast:
                continue
            may.append(standing)

    threads = [threading.Thread(target=ask) for _ in range(THREADS)]
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    sys.stdin.readline()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    admissions.stop()
    assert None not in may, "the limits were not asked"
    sys.stdout.write(f"{len(may)}\n")


if __name__ == "__main__":
    main()
