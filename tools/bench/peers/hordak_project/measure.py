"""Post balanced transactions from several processes for some seconds; one line of JSON tells how many.

python -m tools.bench.peers.hordak_project.measure SECONDS PROCESSES
"""

import json
import multiprocessing
import random
import signal
import sys
import time
from multiprocessing.synchronize import Barrier
from typing import Any

import django

from tools.bench.load.counts import percentile
from tools.embedded.processes import die_with_parent

ACCOUNTS = 100
WARM_UP_TRANSACTIONS = 20


def main() -> None:
    die_with_parent(signal.SIGTERM)
    seconds, processes = float(sys.argv[1]), int(sys.argv[2])
    django.setup()
    accounts = _accounts()
    before = _count()
    barrier = multiprocessing.Barrier(processes)
    results: multiprocessing.Queue[list[float]] = multiprocessing.Queue()
    posting = [
        multiprocessing.Process(target=_post, args=(number, accounts, seconds, barrier, results), daemon=True)
        for number in range(processes)
    ]
    for process in posting:
        process.start()
    took = [each for _ in posting for each in results.get()]
    for process in posting:
        process.join()
    p50, p99 = (percentile(took, share) for share in (0.50, 0.99))
    told = {"tps": len(took) / seconds, "p50_ms": (p50 or 0) * 1000, "p99_ms": (p99 or 0) * 1000}
    posted = _count() - before
    assert posted == len(took) + processes * WARM_UP_TRANSACTIONS, (posted, len(took))
    print(json.dumps(told | {"processes": processes}))


def _accounts() -> list[int]:
    """One account for the house and one for each customer."""
    from django.db import connection
    from hordak.models import Account, AccountType

    ids = list(Account.objects.order_by("id").values_list("id", flat=True))
    if not ids:
        types = [AccountType.income] + [AccountType.liability] * ACCOUNTS
        ids = [
            Account.objects.create(name=f"{number}", code=f"{number}", type=kind, currencies=["USD"]).pk
            for number, kind in enumerate(types)
        ]
    connection.close()
    return ids


def _count() -> int:
    from django.db import connection
    from hordak.models import Transaction

    count = Transaction.objects.count()
    connection.close()
    return count


def _post(number: int, accounts: list[int], seconds: float, barrier: Barrier, results: Any) -> None:
    from django.db import transaction
    from hordak.models import Account
    from moneyed import Money

    house, *customers = Account.objects.filter(pk__in=accounts).order_by("id")
    chosen = random.Random(number)

    def post_one() -> None:
        with transaction.atomic():
            amount = Money(chosen.randint(1, 100_000) / 100, "USD")
            chosen.choice(customers).transfer_to(house, amount, description="premium")

    for _ in range(WARM_UP_TRANSACTIONS):
        post_one()
    barrier.wait()
    took, ends_at = [], time.perf_counter() + seconds
    while (started := time.perf_counter()) < ends_at:
        post_one()
        took.append(time.perf_counter() - started)
    results.put(took)


if __name__ == "__main__":
    main()
