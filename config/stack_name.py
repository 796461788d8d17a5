"""The stack's own name, so that two stacks on one broker share no queue: a setting, or derived from its databases.

All processes of a stack have to come to the same name, on whichever machine they run.
"""

import hashlib
import re
import socket
from collections.abc import Mapping
from typing import Any

from django.core.exceptions import ImproperlyConfigured

NAME = re.compile(r"[A-Za-z0-9._-]{1,64}")
_DIGITS = 8
_LOCAL = ("", "localhost", "::1")


def stack_name(*, given: str, source: str, databases: Mapping[str, Mapping[str, Any]]) -> str:
    """`given`, or counter's name with a fingerprint of where its databases are.

    A database of this machine is told from one at the same address of another machine by the machine's name.

    Raises: ImproperlyConfigured for a name that a queue cannot have.
    """
    name = given or f"{source}-{_fingerprint(source, databases)}"
    if not NAME.fullmatch(name):
        raise ImproperlyConfigured(f"STACK_NAME has 1 to 64 letters, digits, '.', '_' or '-', not {name!r}")
    return name


def _fingerprint(source: str, databases: Mapping[str, Mapping[str, Any]]) -> str:
    places = [source]
    for alias in sorted(databases):
        host = str(databases[alias]["HOST"])
        machine = socket.gethostname() if host in _LOCAL or host.startswith(("/", "127.")) else ""
        places += [machine, host, str(databases[alias]["PORT"]), str(databases[alias]["NAME"])]
    return hashlib.sha256("\n".join(places).encode()).hexdigest()[:_DIGITS]
