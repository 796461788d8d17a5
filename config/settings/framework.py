"""Django and what plugs into it: apps, middleware, templates, the admin, the REST framework and its schema."""

from django.templatetags.static import static

from config.settings.menu import NAVIGATION
from config.settings.places import BASE_DIR, VAR_DIR

INSTALLED_APPS = [
    "cockpit.apps.CockpitConfig",  # before unfold, whose first page it replaces
    "unfold.apps.BasicAppConfig",
    "cockpit.staff_site.StaffAdminConfig",
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
    "infra.apps.InfraConfig",
    "config.apps.WiringConfig",
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
    "infra.http_server.parameters.ParametersMiddleware",
    "counter.api.logins.KnownBrowserMiddleware",
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

LANGUAGE_CODE = "en"
LANGUAGES = [("en", "English"), ("de", "Deutsch")]  # of the trade page; staff read English
LOCALE_PATHS = [BASE_DIR / "trade/locale"]  # before the words that Django has for its admin
FORMAT_MODULE_PATH = ["infra.admin.formats"]
TIME_ZONE = "UTC"
USE_TZ = True
STATIC_URL = "static/"
STATIC_ROOT = VAR_DIR / "static"
WHITENOISE_USE_FINDERS = True

UNFOLD = {
    "SITE_TITLE": "Crossbook",
    "SITE_HEADER": "Crossbook",
    "SIDEBAR": {"show_search": True, "navigation": NAVIGATION},
    "DASHBOARD_CALLBACK": "cockpit.views.dashboard",
    "STYLES": [lambda request: static("cockpit/cockpit.css")],
}

# `counter.api.views` says who is asked where; a view that says nothing of it lets nobody in who is not known.
REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [  # read by the pages of the schema
        "counter.api.auth.CustomerTokenAuthentication",
        "counter.api.auth.CustomerSessionAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": [
        "rest_framework.permissions.IsAuthenticated"
    ],  # read by the services' views
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "EXCEPTION_HANDLER": "counter.api.errors.answer",
    "DEFAULT_RENDERER_CLASSES": ["counter.api.renderers.MessageRenderer"],
    "DEFAULT_PARSER_CLASSES": ["counter.api.parsers.MessageParser"],
}
SPECTACULAR_SETTINGS = {
    "TITLE": "Crossbook",
    "DESCRIPTION": "Coin-margined BTC and ETH options for customers who hold USDT.",
    "VERSION": "1",
    "SERVE_INCLUDE_SCHEMA": False,
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "OAS_VERSION": "3.1.1",  # what msgspec says of its messages
    "SERVERS": [{"url": "/", "description": "Where this document was read."}],
    "TAGS": [
        {"name": "orders", "description": "Placing and reading orders."},
        {"name": "positions", "description": "What orders have opened."},
        {"name": "market", "description": "What is for sale, at what price, and firm quotes."},
        {"name": "account", "description": "Balance, limits, ledger, statements and withdrawals."},
        {"name": "stream", "description": "Prices and own changes as they happen."},
        {"name": "webhooks", "description": "Where own events are sent."},
    ],
    "PREPROCESSING_HOOKS": ["counter.api.schema_shape.of_customers"],
    "WEBHOOKS": [
        f"counter.api.webhook_events.{name}"
        for name in (
            *("ORDER_SETTLED", "PAYOUT_CREDITED", "POSITION_EXERCISED", "POSITION_EXPIRED"),
            *("DEPOSIT_CREDITED", "WITHDRAWAL_RESERVED", "WITHDRAWAL_CONFIRMED", "WITHDRAWAL_RELEASED"),
        )
    ],
    # In place of the library's own: messages name their enums.
    "POSTPROCESSING_HOOKS": [
        "counter.api.openapi.with_bodies_of_webhooks",
        "counter.api.openapi.say_what_types_cannot",
        "counter.api.schema_shape.for_generators",
    ],
}
