"""Keys, and who may come in: customers, their programs, staff, the desk and the wallet service."""

import os
import secrets
from typing import Any

from config import environment
from config.environment import SettingInvalid, Subject

_access = Subject("Keys and who may come in")

DEBUG = _access.switch("DEBUG", "0", "Django's: tracebacks on pages, for a machine of your own only")


def _key(name: str, meaning: str) -> str:
    """A key from the environment; there is none that anybody could know.

    Without it a process that was given no databases gets one of its own, which opens nothing elsewhere.

    Raises: SettingInvalid beside databases that were given, where other processes have to share it.
    """
    key = _access.secret(name, "", meaning, shown="made once, in `var/keys.json`")
    if not key and not DEBUG and any(map(environment.is_given, ("DATABASE_URL", "DESK_DATABASE_URL"))):
        raise SettingInvalid(f"{name} has to be set where DATABASE_URL or DESK_DATABASE_URL is")
    return key or secrets.token_urlsafe(48)


SECRET_KEY = _key("SECRET_KEY", "Django's")
# Both are comma-separated: all keys are accepted, the first one signs.
SERVICE_KEY = _key(
    "SERVICE_KEY",
    "what the desk signs its calls of counter's internal API with, and what all programs of a stack sign messages and "
    "tasks with; [exchanged](keys.md) as a comma-separated list",
)
WALLET_KEY = _key(
    "WALLET_KEY", "the same of the [exchange's wallet service](api-internal.md#the-wallet-services-api)"
)
# A list as well: all decrypt customers' keys, the first one encrypts.
API_KEYS_SECRET = _key(
    "API_KEYS_SECRET",
    "what the secrets of customers' API keys are encrypted with; [exchanged](keys.md) as a list",
)
PUBLIC_IDS_KEY = _key(
    "PUBLIC_IDS_KEY",
    "what customers' ids of orders, positions and the like are made with; [never changed](keys.md#public-ids)",
)
API_TOKENS = _access.switch(
    "API_TOKENS",
    "1",
    "0: customers' programs have to sign with an API key; a token, which has neither scope nor end, opens nothing",
)
SIGNATURE_WINDOW_SECONDS = _access.seconds(
    "SIGNATURE_WINDOW_SECONDS", "30", "by which a signed call's time may differ from counter's"
)
TRUSTED_PROXIES = _access.networks(
    "TRUSTED_PROXIES", "proxies whose `X-Forwarded-For` is believed, for the networks of API keys"
)

ALLOWED_HOSTS = _access.words(
    "ALLOWED_HOSTS",
    "127.0.0.1,localhost,[::1],testserver",
    "Django's: names under which web is reached",
    shown="loopback",
)
CSRF_TRUSTED_ORIGINS = _access.words(
    "CSRF_TRUSTED_ORIGINS", "", "Django's: `https://` and the name, behind a proxy", shown="none"
)

# HTTPS=1: customers come through a proxy that speaks TLS and says so in X-Forwarded-Proto, which it sets itself. The
# signed calls of desk and wallet service, and the health checks, may come past it.
HTTPS = _access.switch("HTTPS", "0", "1 behind a proxy that speaks TLS: [what follows](internet-exposure.md)")
SECURE_SSL_REDIRECT = SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = HTTPS
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if HTTPS else None
SECURE_REDIRECT_EXEMPT = [r"^(internal|wallet)/", r"^(healthz|readyz|metrics)$"]
_HSTS_SECONDS = _access.whole(
    "HSTS_SECONDS", "3600", "how long browsers insist on TLS, with `HTTPS`", unit="seconds"
)
SECURE_HSTS_SECONDS = _HSTS_SECONDS if HTTPS else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = SECURE_HSTS_PRELOAD = HTTPS

# Whether staff need a token of an authenticator besides their password: with HTTPS, unless it says otherwise.
STAFF_TWO_FACTOR = _access.switch(
    "STAFF_TWO_FACTOR",
    "1" if HTTPS else "0",
    "1: the admin asks for [a second factor](staff.md#staff)",
    shown="1 with `HTTPS`, else 0",
)
OTP_TOTP_ISSUER = "Crossbook"
# Whose permissions the roles of staff hold.
STAFF_ROLE_APPS = ("counter", "acceptance", "settlement", "audit", "cockpit")
LOGIN_URL, LOGIN_REDIRECT_URL = "/admin/login/", "/admin/"
PASSWORD_HASHERS = ["infra.http_server.password_hashing.UnhurriedPBKDF2"]
# Of passwords that people choose: at the console, and of staff in the admin.
MIN_PASSWORD_LENGTH = 12
AUTH_PASSWORD_VALIDATORS: list[dict[str, Any]] = [
    {
        "NAME": "django.contrib.auth.password_validation.MinimumLengthValidator",
        "OPTIONS": {"min_length": MIN_PASSWORD_LENGTH},
    },
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
    {"NAME": "django.contrib.auth.password_validation.NumericPasswordValidator"},
]

METRICS_TOKEN = _access.secret(
    "METRICS_TOKEN",
    "",
    "bearer token of `/metrics`; without one it answers this machine only",
    shown="none",
)
FLOWER_BASIC_AUTH = _access.secret(
    "FLOWER_BASIC_AUTH",
    "",
    "who may use Flower, as `user:password`, comma-separated",
    shown="`crossbook:` and a password made once, in `var/keys.json`",
)
if os.environ.pop("FLOWER_BASIC_AUTH_FILE", None):
    os.environ["FLOWER_BASIC_AUTH"] = FLOWER_BASIC_AUTH  # where Flower itself looks, and nowhere else
