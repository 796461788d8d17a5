"""Entry point for granian: orders on the event loop, where a waiting order costs no thread; all else on threads."""

import gc
from typing import Any

from django.core.wsgi import get_wsgi_application

from config.environment import load_settings
from infra.http_server.responding import OnThreads

gc.disable()  # until all is loaded, which stays: to look through it took an eighth of the CPU of a start
load_settings()

# Django's ASGI handler answers a tenth of what its WSGI handler does. Each thread keeps its database connection.
THREADS = 8
framework: Any = get_wsgi_application()
gc.disable()  # again: Django has enabled it
wsgi: Any = OnThreads(framework, workers=THREADS)
liveness: Any = OnThreads(framework, workers=1)

from django.conf import settings  # noqa: E402 - they are there only now
from django.urls import get_resolver  # noqa: E402

from counter.api.addresses import address_of, is_proxy  # noqa: E402
from counter.api.fast_path import FastPath  # noqa: E402 - its models can be imported only now
from counter.api.framework_timeout import FrameworkTimeout, refuse  # noqa: E402
from infra.db.bounded_statements import bound_statements  # noqa: E402
from infra.http_server.bodies import WholeBodies  # noqa: E402
from infra.http_server.connection_guard import ConnectionGuard  # noqa: E402
from infra.http_server.request_id import Identified  # noqa: E402
from infra.http_server.retiring import Retiring  # noqa: E402

# All pages, before the first request waits for them, and where a new release that lacks one is found out.
get_resolver().url_patterns  # noqa: B018 - the first use loads them

guard = ConnectionGuard(of_address=settings.CONNECTIONS_PER_ADDRESS, is_trusted=is_proxy)


def start() -> None:
    """Bound what may be held: a thread by a statement, a place by a client."""
    gc.freeze()  # what has been loaded since Django was
    bound_statements()
    guard.start()


others = WholeBodies(FrameworkTimeout(wsgi, liveness), address_of=address_of, refuse=refuse)
application = Retiring(Identified(FastPath(others)), at_start=start)
gc.enable()
