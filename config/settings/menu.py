"""The admin's menu, by what people come to do. Who may not see a page has no line for it.

Every page of the admin has one place here: tests/integration/cockpit/test_menu.py.
"""

from collections.abc import Callable
from typing import Any

from django.http import HttpRequest
from django.urls import reverse_lazy

from config.settings.places import FLOWER_URL

Item = dict[str, Any]


def _allowed(*permissions: str) -> Callable[[HttpRequest], bool]:
    return lambda request: request.user.has_perms(permissions)


def _line(title: str, link: Any, *permissions: str) -> Item:
    return {"title": title, "link": link, "permission": _allowed(*permissions)}


def _list(title: str, table: str, *, found_by: str = "") -> Item:
    """The list of a table, `app.model`; `found_by` are words by which the search finds it besides its name."""
    app, model = table.split(".")
    line = _line(title, reverse_lazy(f"admin:{app}_{model}_changelist"), f"{app}.view_{model}")
    return line | {"found_by": found_by}


def _page(title: str, name: str, *permissions: str) -> Item:
    return _line(title, reverse_lazy(name), *permissions)


def _group(title: str, *items: Item, is_open: bool = False) -> dict[str, Any]:
    return {"title": title, "separator": True, "collapsible": not is_open, "items": list(items)}


NAVIGATION = [
    _group(
        "Now",
        _page("First page", "admin:index"),
        _page(
            "Find an order",
            "find_order",
            *("counter.view_syncorder", "acceptance.view_acceptedorder", "settlement.view_conversion"),
        ),
        _list(
            "Kill switches", "counter.tradingswitch", found_by="stop halt resume undo trading closes opens"
        ),
        _list("Interventions", "settlement.intervention"),
        _list("Batches of interventions", "settlement.batch"),
        _list("Reconciliation breaks", "settlement.reconciliationbreak"),
        is_open=True,
    ),
    _group(
        "Orders",
        _list("Orders at counter", "counter.syncorder"),
        _list("Orders at the desk", "acceptance.acceptedorder"),
        _list("Conflicts", "acceptance.conflict"),
        _list("Positions", "counter.position"),
        _list("Firm quotes", "counter.firmquote"),
        _list("Conversions", "settlement.conversion"),
        _list("Fills", "settlement.fill"),
        _list("Shares of fills", "settlement.allocation"),
        _list("Executions", "settlement.execution"),
        _list("State changes", "settlement.statechange"),
        _list("Rows of batches", "settlement.batchrow"),
    ),
    _group(
        "Money",
        _page(
            "Balances",
            "balances",
            *("counter.view_account", "counter.view_position", "settlement.view_deskaccount"),
        ),
        _page("Best execution", "best_execution", "settlement.view_conversion"),
        _page("Close of the day", "days", "cockpit.view_daystatement"),
        _list("Customers' accounts", "counter.account"),
        _list("Counter's transfers", "counter.transfer"),
        _list("Deposits and withdrawals", "counter.cashmovement"),
        _list("Withdrawals", "counter.withdrawal"),
        _list("Withdrawal decisions", "counter.withdrawaldecision"),
        _list("Late words of the wallet", "counter.lateword"),
        _list("Clearing payments", "settlement.clearingpayment"),
        _list("Clearing payments at counter", "counter.clearingpayment"),
        _list("Desk's accounts", "settlement.deskaccount"),
        _list("Desk's transfers", "settlement.desktransfer"),
        _list("Carries", "settlement.carry"),
        _list("Coins at rest", "settlement.coinrest"),
        _list("Executions by day", "settlement.executionday"),
        _list("Executions read", "settlement.executionsread"),
        _list("Late fees", "settlement.latefee"),
        _list("Reconciliation runs", "settlement.reconciliationrun"),
        _list("Audit runs", "audit.auditrun"),
    ),
    _group(
        "Venue",
        _list("Venue halts", "settlement.venuehalt"),
        _list("Calls to the venue", "settlement.attempt"),
        _list("Funds transfers", "settlement.fundstransfer"),
        _list("Statements of the venue", "settlement.venuestatement"),
        _list("Trades as the venue tells them", "settlement.venuetrade"),
        _list("Venue accounts", "settlement.venueaccount"),
        _list("Desk's condition", "counter.deskcondition"),
    ),
    _group(
        "Market",
        _list("Options", "counter.option"),
        _list("Quotes", "counter.quote"),
        _list("Expiries", "counter.expiry"),
        _list("Settlement indexes", "counter.settlementindex"),
        _list("Entered indexes", "counter.indexentry"),
        _list("Index rejections", "counter.indexrejection"),
        _list("Halts of series", "counter.optionchange"),
    ),
    _group(
        "Risk",
        _page("Risk of the option book", "risk", "counter.view_position"),
        _list("How coins are traded", "counter.tradingstatus"),
        _list("Changes in how coins are traded", "counter.tradingstatuschange"),
        _list("Kill switches thrown", "counter.tradingswitchchange"),
        _list("Requests to resume trading", "counter.resumerequest"),
        _list("Limits set", "counter.limitchange"),
        _list("Depths set", "counter.depthchange"),
    ),
    _group(
        "People",
        _list("Customers", "counter.customer"),
        _list("Customers' API keys", "counter.apikey"),
        _list("Webhook endpoints", "counter.webhookendpoint"),
        _list("Webhook deliveries", "counter.webhookdelivery"),
        _list("Staff", "auth.user"),
        _list("Roles of staff", "auth.group"),
        _list("Keys of staff", "cockpit.staffkey"),
    ),
    _group(
        "System",
        _list("Schedules", "django_celery_beat.periodictask"),
        *([_line("Workers and queues (Flower)", FLOWER_URL)] if FLOWER_URL else []),
    ),
]
