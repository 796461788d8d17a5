"""Messages and tasks: Celery, its broker and its queues."""

from config import schedules
from config.settings.parallel import WORKER_PROCESSES
from config.settings.places import BROKER_SENTINEL_MASTER, BROKER_URL, STACK_NAME
from infra.broker.queues import worker_queues
from infra.broker.transports import transport_options, uses_redis

BROKER_TIMEOUT_SECONDS = 2.0

CELERY_BROKER_URL = BROKER_URL
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_ACKS_LATE = True
CELERY_TASK_DEFAULT_QUEUE = "sweeps"
WORKER_QUEUES = ("convert", "settle", "sweeps")  # every one that workers consume: a canary goes through each
CELERY_TASK_QUEUES = worker_queues(WORKER_QUEUES, stack=STACK_NAME, url=BROKER_URL)
# What Flower sends and hears is of this stack's workers only.
CELERY_CONTROL_EXCHANGE, CELERY_EVENT_EXCHANGE = f"{STACK_NAME}.control", f"{STACK_NAME}.events"
CELERY_TASK_ROUTES = {
    "settlement.convert": {"queue": "convert"},
    "settlement.balance": {"queue": "settle"},
    "settlement.report": {"queue": "settle"},
}
CELERY_ACCEPT_CONTENT = ["json"]
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_WORKER_CONCURRENCY = WORKER_PROCESSES
# A starting worker process reads the venue's markets. With Celery's 4 s a venue that hangs would have each one killed
# and started anew for ever, and nothing else would be worked on either.
CELERY_WORKER_PROC_ALIVE_TIMEOUT = 60.0
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_WORKER_SEND_TASK_EVENTS = False  # Flower asks for them while it runs: infra.broker.task_events
CELERY_TASK_PUBLISH_RETRY = False
CELERY_BROKER_CONNECTION_TIMEOUT = BROKER_TIMEOUT_SECONDS
CELERY_BROKER_CONNECTION_MAX_RETRIES = None
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BROKER_TRANSPORT_OPTIONS = transport_options(
    BROKER_URL, timeout_seconds=BROKER_TIMEOUT_SECONDS, sentinel_master=BROKER_SENTINEL_MASTER
)
if not uses_redis(BROKER_URL):
    CELERY_TASK_DEFAULT_QUEUE_TYPE = CELERY_TASK_CREATE_MISSING_QUEUE_TYPE = "quorum"
    CELERY_BROKER_HEARTBEAT = 10  # s; a consumer that hears nothing for two of them connects anew
CELERY_BEAT_SCHEDULER = "infra.broker.scheduler:LeadingScheduler"
CELERY_BEAT_MAX_LOOP_INTERVAL = 5
DJANGO_CELERY_BEAT_TZ_AWARE = True
# What the intake process does itself, by task: while no broker carries it, and always.
SWEEPS_WITHOUT_BROKER = schedules.WITHOUT_BROKER
SWEEPS_PAST_THE_BROKER = schedules.PAST_THE_BROKER
CELERY_TIMEZONE = "UTC"
