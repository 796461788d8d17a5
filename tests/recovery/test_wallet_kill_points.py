"""A web process killed at any step of money in or out: the wallet sends all of it again, and each step is done once."""

import os
import signal
from contextlib import suppress
from typing import Any

import pytest
import requests
from django.conf import settings
from django.utils import timezone

from counter.contracts import WALLET_TAG
from counter.models import Account, CashMovement, Transfer
from counter.money.chart import SystemAccount
from infra.http_client import signatures
from ledger.posting import balances
from tests.recovery.points import POINTS, Work
from tools.embedded import valkey
from tools.stack.supervision import wait_until

pytestmark = pytest.mark.django_db(transaction=True)


class Wallet(requests.Session):
    """The exchange's wallet service, which signs each call for itself."""

    def __init__(self, url: str) -> None:
        super().__init__()
        self.trust_env = False
        self.url = url

    def reaches(self) -> bool:
        with suppress(requests.ConnectionError):
            return requests.get(f"{self.url}/healthz", timeout=5).ok
        return False

    def call(self, path: str, body: dict[str, str] | None = None) -> dict[str, Any]:
        request = requests.Request("POST", f"{self.url}/wallet/v1/{path}", json=body).prepare()
        signatures.sign(
            request,
            keys=signatures.keys_of(settings.WALLET_KEY),
            tag=WALLET_TAG,
            body=request.body if isinstance(request.body, bytes) else b"",
            now=timezone.now(),
        )
        answer = self.send(request, timeout=15)
        assert answer.ok, answer.text
        return answer.json()

    def day(self) -> None:
        """What it does in a day: 100 in, 40 out, 30 that were to go out and came back."""
        self.call("customers", {"reference": "alice"})
        self.call("deposits", {"customer": "alice", "amount": "100", "reference": "d-1"})
        self.call("withdrawals", {"customer": "alice", "amount": "40", "reference": "w-1"})
        self.call("withdrawals/w-1/confirm")
        self.call("withdrawals", {"customer": "alice", "amount": "30", "reference": "w-2"})
        self.call("withdrawals/w-2/release")


@pytest.mark.parametrize("point", [name for name, point in POINTS.items() if point.work is Work.WALLET])
def test_what_the_wallet_sends_again_is_done_once(doomed, point):
    wallet = Wallet(f"http://127.0.0.1:{valkey.free_port()}")
    task = {"COUNTER_URL": wallet.url}
    doomed.begin(Work.WALLET, point, task)
    assert wait_until(wallet.reaches, within_seconds=60)
    with pytest.raises(requests.ConnectionError):
        wallet.day()
    assert doomed.end() == -signal.SIGKILL

    pid = doomed.begin(Work.WALLET, "", task)
    assert wait_until(wallet.reaches, within_seconds=60)
    wallet.day()
    os.kill(pid, signal.SIGINT)
    assert doomed.end() == 0

    account = Account.objects.get(customer__reference="alice")
    held = {account_id: amount for account_id, _, _, amount in balances(Account, Transfer)}
    assert account.balance == held[account.pk] == 60
    assert (held[SystemAccount.EXTERNAL], held[SystemAccount.WITHDRAWALS]) == (60, 0)
    kinds = ["DEPOSIT", "RESERVATION", "CONFIRMATION", "RESERVATION", "RELEASE"]
    assert list(CashMovement.objects.order_by("pk").values_list("kind", flat=True)) == kinds
    assert Transfer.objects.count() == 5
