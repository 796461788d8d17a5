"""Whether a stack that has come up sells options yet: its coins reopen some seconds after its programs answer."""

import json
from collections.abc import Callable
from contextlib import suppress
from urllib.error import URLError
from urllib.request import urlopen

from tools.stack.readiness import wait_telling

TRADED_WITHIN_SECONDS = 60.0
ANSWERED_WITHIN_SECONDS = 5.0


def wait(
    web_url: str, *, tell: Callable[[str], object], within_seconds: float = TRADED_WITHIN_SECONDS
) -> bool:
    """Whether each coin is sold at fresh prices before the time is over; `tell` hears which is not."""
    traded = wait_telling(
        lambda: not closed_coins(web_url), what="fresh prices", within_seconds=within_seconds, tell=tell
    )
    if not traded:
        tell(f"not sold yet: {', '.join(closed_coins(web_url))}; the admin's first page says why")
    return traded


def closed_coins(web_url: str) -> list[str]:
    """The coins of which no option can be bought now, each with how it stands; as the public quotes say."""
    quotes = []
    with (
        suppress(URLError, TimeoutError, ConnectionError, ValueError),
        urlopen(f"{web_url}/api/v1/quotes", timeout=ANSWERED_WITHIN_SECONDS) as answer,  # noqa: S310 - our own
    ):
        quotes = json.load(answer)["results"]
    if not quotes:
        return ["no option has a price"]
    coins = {_coin(quote): quote["coin_state"] for quote in quotes}
    sold = {_coin(quote) for quote in quotes if quote["cost"] is not None and not quote["is_stale"]}
    return [f"{coin} ({state})" for coin, state in sorted(coins.items()) if coin not in sold]


def _coin(quote: dict[str, str]) -> str:
    return quote["symbol"].split("-")[0]
