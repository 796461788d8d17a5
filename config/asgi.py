"""Entry point for granian: orders on the event loop, where whoever waits costs no thread; all else on threads."""

import os
import sys
from typing import Any

from a2wsgi import WSGIMiddleware
from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

# The gate's writer comes back from the database while the loop is busy: with Python's 5 ms it would wait longer for its
# turn than for the commit.
sys.setswitchinterval(0.0005)
# Django's ASGI handler answers a tenth of what its WSGI handler does. Each thread keeps its database connection.
THREADS = 8
framework: Any = WSGIMiddleware(get_wsgi_application(), workers=THREADS)  # type: ignore[arg-type]

from counter.api.lane import OrderLane  # noqa: E402 - its models can be imported only now

application = OrderLane(framework)
