"""Who is at the console."""

import os
import pwd


def console_user() -> str:
    """The name of the user that this process runs as, of one without a name the number.

    Asks the system: what the environment says (LOGNAME, USER) anybody sets, and users of containers may have no name.
    """
    number = os.getuid()
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return f"user {number}"
