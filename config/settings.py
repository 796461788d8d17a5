"""Settings: what differs between machines comes from the environment; unset servers mean the embedded ones."""

import os
import secrets
from decimal import Decimal
from pathlib import Path
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.templatetags.static import static
from django.urls import reverse_lazy
from psycopg.conninfo import conninfo_to_dict

from config import limits
from config.embedded import server_urls
from config.embedded.processes import PROGRAM_MARK
from config.transports import transport_options, uses_redis

BASE_DIR = Path(__file__).resolve().parent.parent
VAR_DIR = Path(os.environ.get("VAR_DIR", BASE_DIR / "var"))
_EMBEDDED = server_urls(VAR_DIR)


def _env(name: str, default: str = "") -> str:
    return os.environ.get(name) or _EMBEDDED.get(name) or default


def _key(name: str) -> str:
    """A key from the environment or the stack's store; there is none that anybody could know.

    Without either, a process beside the embedded servers gets one of its own, which opens nothing elsewhere.

    Raises: ImproperlyConfigured beside databases that were given, where other processes have to share it.
    """
    key = _env(name)
    if not key and not DEBUG and (os.environ.get("DATABASE_URL") or os.environ.get("DESK_DATABASE_URL")):
        raise ImproperlyConfigured(f"{name} has to be set where DATABASE_URL or DESK_DATABASE_URL is")
    return key or secrets.token_urlsafe(48)


# A machine that vanishes without a word is noticed within half a minute, on both sides: the locks that its
# connections hold (`config.leader`) are free then. Sockets of one machine ignore all of it.
_KEEPALIVE = {
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 25_000,  # ms: the same for what was sent and never acknowledged
    "options": "-c tcp_keepalives_idle=10 -c tcp_keepalives_interval=5 -c tcp_keepalives_count=3",
}


def _database(url: str) -> dict[str, Any]:
    """Django's connection settings from a PostgreSQL URL, unix sockets included (`?host=/folder`)."""
    parts = conninfo_to_dict(url)
    known = {
        "NAME": parts.pop("dbname", ""),
        "USER": parts.pop("user", ""),
        "PASSWORD": parts.pop("password", ""),
        "HOST": parts.pop("host", ""),
        "PORT": parts.pop("port", ""),
    }
    return {
        "ENGINE": "django.db.backends.postgresql",
        **known,
        "CONN_MAX_AGE": None,
        "CONN_HEALTH_CHECKS": True,
        # Prepared by their third use, statements are parsed and planned once a connection: half the server's work.
        "OPTIONS": {
            "connect_timeout": 5,
            # Who is connected, in pg_stat_activity; `config.stack.rolling` waits for it.
            "application_name": f"{os.environ.get(PROGRAM_MARK, 'crossbook')} {os.getpid()}",
            "server_side_binding": True,
            "prepare_threshold": 3,
            **_KEEPALIVE,
            **parts,
        },
    }


DEBUG = os.environ.get("DEBUG") == "1"
SECRET_KEY = _key("SECRET_KEY")
ALLOWED_HOSTS = _env("ALLOWED_HOSTS", "127.0.0.1,localhost,[::1],testserver").split(",")
CSRF_TRUSTED_ORIGINS = [origin for origin in _env("CSRF_TRUSTED_ORIGINS").split(",") if origin]

# HTTPS=1: customers come through a proxy that speaks TLS and says so in X-Forwarded-Proto, which it sets itself. The
# signed calls of desk and wallet service, and the health checks, may come past it.
HTTPS = os.environ.get("HTTPS") == "1"
SECURE_SSL_REDIRECT = SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = HTTPS
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if HTTPS else None
SECURE_REDIRECT_EXEMPT = [r"^(internal|wallet)/", r"^(healthz|readyz|metrics)$"]
SECURE_HSTS_SECONDS = int(_env("HSTS_SECONDS", "3600")) if HTTPS else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = SECURE_HSTS_PRELOAD = HTTPS

# Whether staff need a token of an authenticator besides their password: with HTTPS, unless it says otherwise.
STAFF_TWO_FACTOR = os.environ.get("STAFF_TWO_FACTOR", "1" if HTTPS else "0") == "1"
OTP_TOTP_ISSUER = "Crossbook"

INSTALLED_APPS = [
    "cockpit.apps.CockpitConfig",  # before unfold, whose first page it replaces
    "unfold.apps.BasicAppConfig",
    "config.staff.StaffAdminConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "rest_framework",
    "rest_framework.authtoken",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "django_celery_beat",
    "django_otp",
    "django_otp.plugins.otp_totp",
    "django_otp.plugins.otp_static",
    "config.apps.ConfigConfig",
    "counter.apps.CounterConfig",
    "acceptance.apps.AcceptanceConfig",
    "settlement.apps.SettlementConfig",
    "audit.apps.AuditConfig",
    "trade.apps.TradeConfig",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django_otp.middleware.OTPMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]

ROOT_URLCONF = "config.urls"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    },
]

DATABASES = {
    "default": _database(_env("DATABASE_URL", "postgresql:///crossbook")),
    "desk": _database(_env("DESK_DATABASE_URL", "postgresql:///desk")),
}
# A plan for any state cannot use the index of one, and seems cheap where the first row found is enough: it would read
# millions of reported orders to see that none waits. The desk's statements are of batches, so planning each is little.
DATABASES["desk"]["OPTIONS"]["options"] += " -c plan_cache_mode=force_custom_plan"
WEB_STATEMENT_SECONDS = float(
    _env("WEB_STATEMENT_SECONDS", "10")
)  # how long one may take in the web processes
DATABASES["desk"]["TEST"] = {"DEPENDENCIES": []}  # a test of the desk needs no counter
DATABASE_ROUTERS = ["config.router.TwoSystems"]
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

LANGUAGE_CODE = "en"
FORMAT_MODULE_PATH = ["config.formats"]
TIME_ZONE = "UTC"
USE_TZ = True
STATIC_URL = "static/"
STATIC_ROOT = VAR_DIR / "static"
WHITENOISE_USE_FINDERS = True
LOGIN_URL = "/admin/login/"

FLOWER_URL = _env("FLOWER_URL")
FLOWER_BASIC_AUTH = _env("FLOWER_BASIC_AUTH")  # user:password, comma-separated; Flower reads it by itself
UNFOLD = {
    "SITE_TITLE": "Crossbook",
    "SITE_HEADER": "Crossbook",
    "SITE_DROPDOWN": [
        {"icon": "search", "title": "Find an order", "link": reverse_lazy("find_order")},
        *(
            [{"icon": "lan", "title": "Workers and queues (Flower)", "link": FLOWER_URL}]
            if FLOWER_URL
            else []
        ),
    ],
    "DASHBOARD_CALLBACK": "cockpit.views.dashboard",
    "STYLES": [lambda request: static("cockpit/cockpit.css")],
}

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "rest_framework.authentication.TokenAuthentication",
        "rest_framework.authentication.SessionAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "EXCEPTION_HANDLER": "counter.api.errors.answer",
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["rest_framework.parsers.JSONParser"],
    "COERCE_DECIMAL_TO_STRING": True,
}
SPECTACULAR_SETTINGS = {
    "TITLE": "Crossbook",
    "DESCRIPTION": "Coin-margined BTC and ETH options for customers who hold USDT.",
    "VERSION": "1",
    "SERVE_INCLUDE_SCHEMA": False,
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "OAS_VERSION": "3.1.1",  # what msgspec says of its messages
    "POSTPROCESSING_HOOKS": ["counter.api.openapi.say_what_types_cannot"],  # messages name their own enums
}

# --- messages and tasks -------------------------------------------------------------------------------------------
BROKER_URL = _env("BROKER_URL", "redis://127.0.0.1:1/0")
SYNC_QUEUE = os.environ.get("SYNC_QUEUE", "sync-orders")
BROKER_TIMEOUT_SECONDS = 2.0

CELERY_BROKER_URL = BROKER_URL
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_ACKS_LATE = True
CELERY_TASK_DEFAULT_QUEUE = "sweeps"
WORKER_QUEUES = ("convert", "settle", "sweeps")  # every one that workers consume: a canary goes through each
CELERY_TASK_ROUTES = {
    "settlement.convert": {"queue": "convert"},
    "settlement.balance": {"queue": "settle"},
    "settlement.report": {"queue": "settle"},
}
CELERY_ACCEPT_CONTENT = ["json"]
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
# A starting worker process reads the venue's markets. With Celery's 4 s a venue that hangs would have each one killed
# and started anew for ever, and nothing else would be worked on either.
CELERY_WORKER_PROC_ALIVE_TIMEOUT = 60.0
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_WORKER_SEND_TASK_EVENTS = True
CELERY_TASK_PUBLISH_RETRY = False
CELERY_BROKER_CONNECTION_MAX_RETRIES = None
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BROKER_TRANSPORT_OPTIONS = transport_options(BROKER_URL, timeout_seconds=BROKER_TIMEOUT_SECONDS)
if not uses_redis(BROKER_URL):
    CELERY_TASK_DEFAULT_QUEUE_TYPE = CELERY_TASK_CREATE_MISSING_QUEUE_TYPE = "quorum"
    CELERY_BROKER_HEARTBEAT = 10  # s; a consumer that hears nothing for two of them connects anew
CELERY_BEAT_SCHEDULER = "config.scheduler:LeadingScheduler"
CELERY_BEAT_MAX_LOOP_INTERVAL = 5
DJANGO_CELERY_BEAT_TZ_AWARE = True
CELERY_TIMEZONE = "UTC"

COINS = {"BTC": "BTC/USDT", "ETH": "ETH/USDT"}

# --- counter ------------------------------------------------------------------------------------------------------
COUNTER_SOURCE = _env("COUNTER_SOURCE", "crossbook")
COUNTER_URL = _env("COUNTER_URL", "http://127.0.0.1:8000")
STREAM_URL = _env(
    "STREAM_URL"
)  # where listeners are sent who ask the web program; unset behind a proxy that knows
SERVICE_KEY = _key("SERVICE_KEY")  # comma-separated: all are accepted, the first one signs
WALLET_KEY = _key("WALLET_KEY")  # the same of the exchange's wallet service
API_KEYS_SECRET = _key(
    "API_KEYS_SECRET"
)  # a list as well: all decrypt customers' keys, the first one encrypts
API_TOKENS = os.environ.get("API_TOKENS", "1") == "1"  # whether customers' tokens count
# Proxies whose X-Forwarded-For is believed: comma-separated networks.
TRUSTED_PROXIES = limits.networks("TRUSTED_PROXIES")
# Of each customer, besides orders: how many a second go on for ever, and how many may come at once.
REQUESTS_PER_SECOND = limits.count("REQUESTS_PER_SECOND", "20")
REQUESTS_AT_ONCE = limits.count("REQUESTS_AT_ONCE", "100")
SIGNATURE_WINDOW_SECONDS = float(os.environ.get("SIGNATURE_WINDOW_SECONDS", "30"))
SPREAD_RATE = limits.rate("SPREAD_RATE", "0.005")
QUOTE_STALE_AFTER_SECONDS = float(os.environ.get("QUOTE_STALE_AFTER_SECONDS", "10"))
QUOTE_EVERY_SECONDS = 1.0
CLOSE_STALE_AFTER_SECONDS = float(os.environ.get("CLOSE_STALE_AFTER_SECONDS", "30"))
FIRM_QUOTE_SECONDS = float(os.environ.get("FIRM_QUOTE_SECONDS", "5"))
# What a customer may have of them at once, by number and by their USDT: each is an option on the price, for nothing.
FIRM_QUOTES_LIVE = limits.whole("FIRM_QUOTES_LIVE", "20")
FIRM_QUOTES_LIVE_USDT = limits.amount("FIRM_QUOTES_LIVE_USDT", "250000")
# What a customer may have open (USDT: the cost of it) and order, and what all of them may have open of a series.
CUSTOMER_CONTRACTS = limits.whole("CUSTOMER_CONTRACTS", "1000000")
CUSTOMER_NOTIONAL_USDT = limits.amount("CUSTOMER_NOTIONAL_USDT", "5000000")
CUSTOMER_ORDERS_PER_S = limits.whole("CUSTOMER_ORDERS_PER_S", "200", least=1)
CUSTOMER_BURST_SECONDS = 10  # so many seconds' orders may come at once
SERIES_CONTRACTS = limits.whole("SERIES_CONTRACTS", "1000000")
SERIES_NOTIONAL_USDT = limits.amount("SERIES_NOTIONAL_USDT", "20000000")
# Paid to customers who closed at once, and not settled yet: beyond it closes are paid at fill only.
INSTANT_PAYOUT_FLOAT_USDT = limits.amount("INSTANT_PAYOUT_FLOAT_USDT", "5000000")
SYNC_OVERDUE_AFTER_SECONDS = 2.0
MAX_BATCH_ORDERS = 1000
# How long the wallet service may take to confirm or release what it has reserved, before somebody should look.
WITHDRAWAL_OVERDUE_AFTER_SECONDS = int(_env("WITHDRAWAL_OVERDUE_AFTER_SECONDS", "3600"))
MARKET_DATA = [path for path in _env("MARKET_DATA").split(",") if path]

# --- containment: docs/decisions/containment.md says why these --------------------------------------------------------
WIDE_SPREAD_RATE = limits.rate("WIDE_SPREAD_RATE", "0.02", least=SPREAD_RATE)
# From which age in seconds a cause widens a coin's spread, and from which it halts the coin.
CONTAINMENT_AFTER_SECONDS = {
    cause: limits.pair(
        f"{cause.upper()}_WIDEN_AFTER_SECONDS", f"{cause.upper()}_HALT_AFTER_SECONDS", defaults
    )
    for cause, defaults in {
        "quotes_stale": ("4", "8"),
        "venue_halted": ("0", "30"),
        "unknown_outcome": ("60", "300"),
        "unsettled": ("180", "600"),
        "desk_silent": ("15", "60"),
    }.items()
}
# And from which unhedged USDT, by coin.
CONTAINMENT_EXPOSURE_USDT = limits.pairs_by_coin(
    "WIDEN_ABOVE_EXPOSURE_USDT", "HALT_ABOVE_EXPOSURE_USDT", ("5000000", "10000000"), COINS
)
REOPEN_BELOW_RATE = Decimal("0.8")  # of a limit: less than this has to be left of a cause
REOPEN_AFTER_SECONDS = float(os.environ.get("REOPEN_AFTER_SECONDS", "10"))

# --- expiry: docs/decisions/expiry.md says why these -----------------------------------------------------------------
EXPIRY_INSTANT_PAYOUT_USDT = limits.amount(
    "EXPIRY_INSTANT_PAYOUT_USDT", "1000000"
)  # for one moment, all coins
EXPIRY_GRACE_SECONDS = (
    10.0  # longer than the feed takes to read a price and to store it under the time it began at
)
SETTLEMENT_INDEX_LEAST_MINUTES = 27  # of the 30 before the expiry, those in which the index was recorded
SETTLEMENT_INDEX_MOST_GAP_SECONDS = 120.0
INDEX_KEPT_DAYS = float(os.environ.get("INDEX_KEPT_DAYS", "90"))  # the record, not the settlement indexes

# --- desk ---------------------------------------------------------------------------------------------------------
VENUE = _env("VENUE", "binance")
VENUE_URL = _env("VENUE_URL")
VENUE_API_KEY = _env("VENUE_API_KEY", "paper-key")
VENUE_API_SECRET = _env("VENUE_API_SECRET", "paper-secret")
VENUE_TIMEOUT_SECONDS = 5.0
# A venue without a second wallet (Binance's spot test network) leaves nothing to rebalance: VENUE_RESERVE=none.
VENUE_HAS_RESERVE = _env("VENUE_RESERVE", "funding") != "none"
VENUE_ORDERS_PER_10S = int(_env("VENUE_ORDERS_PER_10S", "100"))  # Binance Spot's for an ordinary account
PRICE_BAND_RATE = Decimal("0.005")
CONVERSION_MAX_ORDERS = 5000
CARRY_WORTH_CONVERTING_USDT = Decimal(50)
# Trading-wallet bands by asset: below `low` the treasury tops up to `target`, above `high` it sweeps down to it.
WALLET_BANDS = {
    "USDT": {"low": Decimal(500_000), "target": Decimal(2_000_000), "high": Decimal(6_000_000)},
    "BTC": {"low": Decimal(5), "target": Decimal(20), "high": Decimal(60)},
    "ETH": {"low": Decimal(100), "target": Decimal(400), "high": Decimal(1200)},
}

# --- audit --------------------------------------------------------------------------------------------------------
# How old a row may grow in a state that has neither an owner nor a due time before the audit calls it forgotten.
AUDIT_AGE_LIMITS_SECONDS = {
    "sync_order": {"PENDING": 30},
    "option": {"LISTED": 120, "HALTED": 120},  # after its expiry
    "expiry": {"WAITING": 120, "EXERCISING": 300},
    "accepted_order": {"RECEIVED": 60, "SETTLED": 60},
    "conversion": {"PLANNED": 30, "SUBMITTED": 30, "FILLED": 30},
    "funds_transfer": {"PLANNED": 30, "SUBMITTED": 30},
    "intervention": {},
    "withdrawal": {"RESERVED": WITHDRAWAL_OVERDUE_AFTER_SECONDS},
}
AUDIT_OVERDUE_AFTER_SECONDS = 60.0  # and how long after its due time one that has one
AUDIT_CLOCK_TOLERANCE_SECONDS = 10.0  # by which times of different processes and of the venue may differ
AUDIT_RECHECK_AFTER_SECONDS = 2.5  # longer than the resuming sweep takes to come round
AUDIT_VENUE_TRADES_DAYS = 7  # trades older than this are proved by the wallets only

# --- reconciliation -----------------------------------------------------------------------------------------------
RECONCILE_OVERLAP_SECONDS = 600.0  # before its watermark a run looks again: what the venue showed late
RECONCILE_GRACE_SECONDS = 60.0  # younger orders are left to the next run: they are still on their way

# --- watching -----------------------------------------------------------------------------------------------------
SENTRY_DSN = _env("SENTRY_DSN")
METRICS_TOKEN = _env("METRICS_TOKEN")  # none: /metrics answers this machine only
LOGGING_CONFIG = None
