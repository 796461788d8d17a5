"""Pictures of the trade page, for the README and docs: kept where SCREENSHOTS says, while its journeys run."""

import os
from pathlib import Path
from typing import Literal

from tests.support.trading import Shopper

SCREENSHOTS = os.environ.get("SCREENSHOTS")
SCHEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")


def keep(shopper: Shopper, name: str) -> None:
    """A screenshot, if they are wanted."""
    if SCREENSHOTS:
        shopper.page.screenshot(path=Path(SCREENSHOTS) / f"{name}.png")


def keep_each(shopper: Shopper, name: str, at: str = "body") -> None:
    """What stands at a selector, on a desk and on a phone, in light and in dark, if screenshots are wanted."""
    if not SCREENSHOTS:
        return
    page = shopper.page
    usual = page.viewport_size
    page.evaluate("document.getElementById('told')?.setAttribute('hidden', '')")
    for scheme in SCHEMES:
        page.emulate_media(color_scheme=scheme)
        for width, height in ((1440, 900), (390, 844)):
            page.set_viewport_size({"width": width, "height": height})
            page.evaluate("(at) => document.querySelector(at).scrollIntoView()", at)
            page.screenshot(path=Path(SCREENSHOTS) / f"{name}-{width}-{scheme}.png")
    page.emulate_media(color_scheme="null")
    if usual is not None:
        page.set_viewport_size(usual)
