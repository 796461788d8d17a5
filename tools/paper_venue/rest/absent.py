"""Products this venue does not have: margin and derivatives answer with empty lists.

Clients with default options ask for them while loading markets; a refusal would keep them from the spot market.
"""

from __future__ import annotations

from typing import Any

from tools.paper_venue.rest.call import Call, Route, Security


def nothing(call: Call) -> list[Any]:
    return []


def no_contracts(call: Call) -> dict[str, Any]:
    return {
        "timezone": "UTC",
        "serverTime": call.now_ms,
        "rateLimits": [],
        "exchangeFilters": [],
        "symbols": [],
        "optionSymbols": [],
    }


ROUTES = [
    *(
        Route("GET", f"/sapi/v1/margin/{name}", nothing, security=Security.NONE)
        for name in ("allPairs", "allAssets", "isolated/allPairs")
    ),
    *(
        Route("GET", f"/{product}/v1/exchangeInfo", no_contracts, security=Security.NONE)
        for product in ("fapi", "dapi", "eapi")
    ),
]
