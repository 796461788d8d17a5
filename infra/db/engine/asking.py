"""A database host, and asking whether something that speaks PostgreSQL's protocol is there."""

import socket
import struct
from contextlib import suppress
from typing import NamedTuple

# The first message of a client that would like TLS: any PostgreSQL, and any pooler, answers it with one byte before it
# asks who speaks. libpq's PQping would hold the interpreter's lock meanwhile, and waits two seconds at least.
SSL_REQUEST = struct.pack("!ii", 8, 80877103)
ANSWERED_WITHIN_SECONDS = 1.0


class Host(NamedTuple):
    """A name, an address, or the folder of a unix socket; and its port."""

    name: str
    port: int

    def __str__(self) -> str:
        return f"{self.name}:{self.port}"


def is_there(host: Host, *, seconds: float = ANSWERED_WITHIN_SECONDS) -> bool:
    """Whether something that speaks PostgreSQL's protocol answers at this host and port within `seconds`."""
    is_local = host.name.startswith(("/", "@"))
    asking = socket.socket(socket.AF_UNIX) if is_local else None
    try:
        if asking is None:
            asking = socket.create_connection((host.name or "localhost", host.port), timeout=seconds)
        else:
            asking.settimeout(seconds)
            asking.connect(f"{host.name}/.s.PGSQL.{host.port}")
        asking.sendall(SSL_REQUEST)
        return asking.recv(1) != b""
    except (OSError, UnicodeError):  # the latter of a name that can be none
        return False
    finally:
        if asking is not None:
            with suppress(OSError):
                asking.close()
