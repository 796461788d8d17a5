"""How much runs side by side on a machine."""

from config import parallel as _here
from config.environment import Subject
from config.settings.desk import COINS, ROUNDS_IN_FLIGHT

_parallel = Subject("How many processes")

WEB_PROCESSES = _parallel.count(
    _here.WEB_PROCESSES,
    str(_here.usual_web_processes()),
    "processes of the web program, which share nothing but the database; its option `--workers` says it too",
    shown=f"the machine's cores, {_here.FEWEST_WEB_PROCESSES} at least",
)
# Rounds wait for the venue most of their time, so their number does not follow the cores: a place for each that may be
# under way, and two for what else there is. Processes, not threads: rounds of two coins on one interpreter took three
# times as long to settle.
_ROUNDS = len(COINS) * ROUNDS_IN_FLIGHT
_FOR_ALL_ELSE = 2
WORKER_PROCESSES = _parallel.count(
    "WORKER_PROCESSES",
    str(max(_here.cores(), _ROUNDS + _FOR_ALL_ELSE)),
    "processes of a Celery worker, each with one task in hand; its option `--concurrency` says it too",
    shown="the machine's cores; at least `ROUNDS_IN_FLIGHT` for each coin, and 2 (6 with two coins)",
)
