"""Entry point for granian: orders on the event loop, where whoever waits costs no thread; all else on threads."""

import os
from typing import Any

from django.core.wsgi import get_wsgi_application

from config.responding import OnThreads

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

# Django's ASGI handler answers a tenth of what its WSGI handler does. Each thread keeps its database connection.
THREADS = 8
wsgi: Any = OnThreads(get_wsgi_application(), workers=THREADS)  # type: ignore[arg-type]

from config.bodies import WholeBodies  # noqa: E402 - the settings are there only now
from config.bounded_statements import bound_statements  # noqa: E402
from config.retiring import Retiring  # noqa: E402
from counter.api.lane import OrderLane  # noqa: E402 - its models can be imported only now
from counter.api.patience import Patience  # noqa: E402

application = Retiring(OrderLane(WholeBodies(Patience(wsgi))), at_start=bound_statements)
