#!/usr/bin/env python
"""Django's command line for Crossbook. What the environment does not name is that of the stack under VAR_DIR."""

import gc
import os
import sys

from django.core.management import execute_from_command_line

from config.environment import SettingInvalid
from tools.embedded import hand_in

if __name__ == "__main__":
    gc.disable()  # until Django is loaded, which stays
    hand_in(os.environ)
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    try:
        execute_from_command_line(sys.argv)
    except SettingInvalid as error:
        sys.exit(f"not started: {error}")
