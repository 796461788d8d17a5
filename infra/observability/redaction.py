"""What never leaves a process: secrets, in log lines and in what is sent to Sentry; amounts, in the latter.

One place for every door: a key, a password or a customer's token in any text is hidden here. It is the
last wall, not the only one: code that has a secret in hand does not write it.
"""

import json
import re
from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import quote, unquote, urlsplit

HIDDEN = "***"
MIN_SECRET_LENGTH = 8  # shorter ones would hide parts of ordinary words
_PATTERNS = (
    re.compile(r"(?<![0-9a-fA-F])[0-9a-f]{40}(?![0-9a-fA-F])"),  # customers' tokens
    re.compile(r"(?<=cbs_)[0-9A-Za-z_-]{16,}"),  # secrets of customers' API keys
    re.compile(r"(?<=staff_)[0-9A-Za-z_-]{43,}"),  # keys of staff's programs
    re.compile(r"(?<=whsec_)[0-9A-Za-z+/=]{16,}"),  # secrets of webhook endpoints
    re.compile(r"(?<=://)[^/\s:@'\"]*:[^/\s@'\"]+(?=@)"),  # user and password of an address
    re.compile(r"(?i)(?<=password=)\S+"),
    re.compile(r"""(?i)(?<=signature=)["']?[0-9A-Za-z+/=%_:-]+"""),
)
_AMOUNT = re.compile(r"(?<![\w.])-?\d+\.\d+(?![\w.])")


def secrets_of(settings: Any) -> set[str]:
    """The secrets that this process knows by its settings."""
    found = {settings.SECRET_KEY}
    found |= {*settings.SERVICE_KEY.split(","), *settings.WALLET_KEY.split(",")}
    found |= {*settings.API_KEYS_SECRET.split(","), settings.PUBLIC_IDS_KEY}
    found |= {settings.VENUE_API_KEY, settings.VENUE_API_SECRET, settings.METRICS_TOKEN}
    found.add(urlsplit(settings.SENTRY_DSN).username or "")
    found |= {str(database.get("PASSWORD") or "") for database in settings.DATABASES.values()}
    found |= {unquote(urlsplit(url).password or "") for url in settings.BROKER_URL.split(";")}
    found |= {login.partition(":")[2] for login in settings.FLOWER_BASIC_AUTH.split(",")}
    return {secret.strip() for secret in found if len(secret.strip()) >= MIN_SECRET_LENGTH}


def hiding(secrets: Iterable[str]) -> Callable[[str], str]:
    """A function that hides these secrets in a text, as they are or as JSON and addresses write them, and what
    looks like one."""
    written = {
        form for secret in secrets for form in (secret, json.dumps(secret)[1:-1], quote(secret, safe=""))
    }
    exact = [re.compile("|".join(re.escape(form) for form in sorted(written, key=len, reverse=True)))]
    patterns = (*(exact if written else []), *_PATTERNS)

    def hide(text: str) -> str:
        for pattern in patterns:
            text = pattern.sub(HIDDEN, text)
        return text

    return hide


def without_amounts(text: str) -> str:
    """The text with every decimal number hidden."""
    return _AMOUNT.sub("#", text)


def everywhere(value: Any, change: Callable[[str], str]) -> Any:
    """A structure of JSON with every text in it changed."""
    if isinstance(value, str):
        return change(value)
    if isinstance(value, dict):
        return {name: everywhere(item, change) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [everywhere(item, change) for item in value]
    return value
