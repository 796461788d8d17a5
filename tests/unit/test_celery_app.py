"""The worker and beat find the Celery app as their commands load it: in a process that knows no settings yet."""

import os
import subprocess
import sys


def test_the_app_is_loaded_where_nobody_has_named_the_settings():
    environment = {name: value for name, value in os.environ.items() if name != "DJANGO_SETTINGS_MODULE"}
    loaded = subprocess.run(
        [sys.executable, "-c", "import config.celery; print(config.celery.app.main)"],
        env=environment,
        capture_output=True,
        text=True,
    )
    assert (loaded.returncode, loaded.stdout.strip()) == (0, "crossbook"), loaded.stderr[-2000:]
