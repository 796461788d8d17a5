"""Forks the programs that are led, each a process of its own: `python -m tests.recovery.led`.

Reads one program a line from stdin (or `worker QUEUES`), with the settings that it gets, and tells its pid. That Django
and all tasks are imported once for all of them makes them start at once; everything else is theirs. They end with this
process.
"""

import json
import os
import signal
import sys
from typing import Any

from tools.embedded.processes import die_with_parent


def main() -> None:
    import django

    django.setup()
    from celery import current_app

    current_app.loader.import_default_modules()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # what has ended is gone
    for line in sys.stdin:
        pid = os.fork()
        if pid == 0:
            die_with_parent(signal.SIGKILL)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            become(**json.loads(line))
            os._exit(0)
        sys.stdout.write(json.dumps(pid) + "\n")
        sys.stdout.flush()


def become(program: str, log: str, settings: dict[str, Any]) -> None:
    """Be that program, to its end."""
    from django.conf import settings as django_settings
    from django.core.management import call_command

    file = os.open(log, os.O_CREAT | os.O_APPEND | os.O_WRONLY)
    for standard in (0, 1, 2):
        os.dup2(file if standard else os.open(os.devnull, os.O_RDONLY), standard)
    for name, value in settings.items():
        setattr(django_settings, name, value)
    if program == "beat":
        from config.celery import app

        app.Beat(loglevel="INFO", quiet=True).run()
    elif program.startswith("worker"):
        from config.celery import app

        _, queues = program.split(" ")
        app.worker_main(["worker", "--pool", "solo", "--queues", queues, "--without-mingle"])
    else:
        call_command(program)


if __name__ == "__main__":
    main()
