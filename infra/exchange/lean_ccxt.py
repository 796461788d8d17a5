"""ccxt without the exchanges that nobody here trades at.

`import ccxt` runs the modules of all its 110 exchanges: 0.6 s of CPU and 36 MB for each process that starts. Here the
package stands for itself unrun, with ccxt's errors in it, and an exchange is loaded when it is asked for.
"""

import sys
from importlib import import_module
from importlib.util import find_spec, module_from_spec
from typing import Any


def _unrun(name: str) -> Any:
    """A package of that name that has run nothing; or as it is, if somebody imported it before."""
    spec = find_spec(name)
    if spec is None:
        raise ModuleNotFoundError(f"{name} is not installed", name=name)
    return sys.modules.setdefault(name, module_from_spec(spec))


def _unrun_package() -> Any:
    package = _unrun("ccxt")
    errors = import_module("ccxt.base.errors")
    vars(package).update({name: found for name, found in vars(errors).items() if isinstance(found, type)})
    return package


# As a whole, if somebody imported it before.
ccxt: Any = sys.modules.get("ccxt") or _unrun_package()


def has_exchange(client: str) -> bool:
    """Whether ccxt has an exchange of this name; it is not loaded for that. Packages of ccxt's are none."""
    spec = find_spec(f"ccxt.{client}") if client.isidentifier() else None
    return spec is not None and spec.submodule_search_locations is None


def exchange_class(client: str) -> Any:
    """ccxt's class of an exchange. Raises: LookupError for one that ccxt does not have."""
    if not has_exchange(client):
        raise LookupError(f"ccxt has no exchange {client!r}")
    return getattr(import_module(f"ccxt.{client}"), client)


def streaming_exchange_class(client: str) -> Any:
    """ccxt.pro's class of an exchange. Raises: LookupError where ccxt has no streams of it."""
    if not has_exchange(client):
        raise LookupError(f"ccxt has no exchange {client!r}")
    ccxt.Exchange = import_module("ccxt.base.exchange").Exchange
    ccxt.async_support, ccxt.pro = asynchronous, _ = _unrun("ccxt.async_support"), _unrun("ccxt.pro")
    if find_spec(f"ccxt.pro.{client}") is None:
        raise LookupError(f"ccxt has no streams of {client}")
    import_module(f"ccxt.async_support.{client}")
    # Its classes are looked for where the package has modules of that name: of this exchange and those it derives from.
    for name, module in list(sys.modules.items()):
        own = name.rpartition(".")[2]
        if name == f"ccxt.async_support.{own}" and isinstance(getattr(module, own, None), type):
            setattr(asynchronous, own, getattr(module, own))
    return getattr(import_module(f"ccxt.pro.{client}"), client)
