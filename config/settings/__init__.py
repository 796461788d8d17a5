"""Settings, by subject. What differs between machines comes from the environment: docs/configuration.md lists it.

The order of these imports is the order of that page.
"""

# ruff: noqa: F403, I001
from config.settings.places import *
from config.settings.access import *
from config.settings.desk import *
from config.settings.prices import *
from config.settings.limits import *
from config.settings.circuit_breaker import *
from config.settings.parallel import *
from config.settings.logs import *
from config.settings.broker import *
from config.settings.webhooks import *
from config.settings.checks import *
from config.settings.framework import *
