"""Who ends each state of each lifecycle, and by what: a sweep, a page or an operation in the admin, or nobody at rest.

Invariant: no state has SQL as its only exit. What people may do about the desk's rows is not repeated here: it is read
from the operations themselves.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from django.apps import apps

from infra.db.lifecycles import state_fields
from settlement.interventions.deciding import OPERATIONS
from settlement.interventions.operations import OPEN, SUBJECTS, Operation


@dataclass(frozen=True, slots=True)
class Page:
    """Where people end a state: the admin's page by its name in the URLs, what permission it needs, what to press."""

    url: str
    permission: str
    press: str


@dataclass(frozen=True, slots=True)
class Exit:
    """Who takes care of a state, the task of the sweep that ends it, the pages; `rests` if nothing has to happen."""

    who: str = ""
    sweep: str = ""
    pages: tuple[Page, ...] = ()
    rests: bool = False


AT_REST = Exit(rests=True)
THE_DESK = Exit("the desk", "settlement.resume")
ASK_AGAIN = "Ask the venue again"
APPROVE = "Approve and do it, or Reject"
_HALT = Page("counter_option_changelist", "counter.halt_option", "Halt, Resume")
_SWITCH = Page("counter_tradingswitch_throw", "counter.approve_resume_trading", "Resume trading")
_TAKE_BACK = Page("counter_tradingswitch_take_back", "counter.stop_trading", "Take back")
_WITHDRAWAL = Page("counter_withdrawal_end", "counter.end_withdrawal", "End the withdrawal")
_CONTAINED = Exit("the feed, 10 s after the last cause has gone", "feed")

EXITS: dict[str, dict[str, Exit]] = {
    "AcceptedOrder": {
        "RECEIVED": THE_DESK,
        "CONVERTING": Exit("its conversion", "settlement.resume"),
        "SETTLED": Exit("the desk, which reports it", "settlement.report"),
        "REPORTED": AT_REST,
        "DISOWNED": AT_REST,
    },
    "ClearingPayment": {
        "REQUESTED": Exit(
            "an approver",
            pages=(Page("settlement_clearingpayment_decide", "settlement.approve_clearingpayment", APPROVE),),
        ),
        "APPROVED": Exit("the desk, which has counter book it", "settlement.resume"),
        **dict.fromkeys(("BOOKED", "REFUSED", "REJECTED"), AT_REST),
    },
    "Conflict": {OPEN: Exit("people"), "RESOLVED": AT_REST},
    "Conversion": {
        "PLANNED": THE_DESK,
        "SUBMITTED": THE_DESK,
        "RETRY_WAIT": THE_DESK,
        "UNKNOWN": Exit(
            "the desk, which asks the venue",
            "settlement.resume",
            (Page("settlement_conversion_changelist", "settlement.ask_venue_conversion", ASK_AGAIN),),
        ),
        "FILLED": Exit("the desk, which books it", "settlement.resume"),
        "MANUAL": Exit("people"),
        **dict.fromkeys(("BOOKED", "MISSED", "RELEASED"), AT_REST),
    },
    "Expiry": {
        "WAITING": Exit(
            "counter; people where the index is not known",
            "counter.expire",
            (Page("counter_expiry_enter", "counter.enter_index", "Enter the index"),),
        ),
        "EXERCISING": Exit("counter, then the desk", "counter.expire"),
        "SETTLED": AT_REST,
    },
    "FirmQuote": {"GIVEN": Exit("its customer, or time", "counter.sweep_quotes"), "USED": AT_REST},
    "FundsTransfer": {
        "PLANNED": THE_DESK,
        "SUBMITTED": THE_DESK,
        "UNKNOWN": Exit(
            "the desk, which asks the venue",
            "settlement.resume",
            (Page("settlement_fundstransfer_changelist", "settlement.ask_venue_fundstransfer", ASK_AGAIN),),
        ),
        "MANUAL": Exit("people"),
        **dict.fromkeys(("CONFIRMED", "RELEASED", "WRITTEN_OFF"), AT_REST),
    },
    "IndexEntry": {
        "REQUESTED": Exit(
            "an approver",
            pages=(Page("counter_indexentry_decide", "counter.approve_indexentry", APPROVE),),
        ),
        **dict.fromkeys(("APPLIED", "REJECTED"), AT_REST),
    },
    "Intervention": {
        "REQUESTED": Exit(
            "an approver",
            pages=(Page("settlement_intervention_decide", "settlement.approve_intervention", APPROVE),),
        ),
        **dict.fromkeys(("APPLIED", "REJECTED", "VOID"), AT_REST),
    },
    "Batch": {
        "REQUESTED": Exit(
            "an approver",
            pages=(Page("settlement_batch_decide", "settlement.approve_intervention", APPROVE),),
        ),
        "RUNNING": Exit("the desk, row by row", "settlement.resume"),
        **dict.fromkeys(("DONE", "REJECTED"), AT_REST),
    },
    "Option": {
        "LISTED": Exit("its expiry", "counter.expire", (_HALT,)),
        "HALTED": Exit("its expiry, or an operator", "counter.expire", (_HALT,)),
        "EXPIRED": Exit("its expiry", "counter.expire"),
        "SETTLED": AT_REST,
    },
    "Position": {
        "OPEN": Exit("its customer, or its expiry", "counter.expire"),
        "CLOSING": Exit("the desk, by its report", "settlement.report"),
        **dict.fromkeys(("CLOSED", "EXERCISED", "EXPIRED"), AT_REST),
    },
    "ReconciliationBreak": {
        "OPEN": Exit("its owner; a run closes it", "settlement.reconcile"),
        "CLOSED": AT_REST,
    },
    "SyncOrder": {
        "PENDING": Exit("the desk, which pulls it; people where it conflicts", "acceptance.pull_unsynced"),
        "SYNCED": Exit("the desk", "settlement.resume"),
        "SETTLED": AT_REST,
    },
    "TradingStatus": {"NORMAL": AT_REST, "WIDE": _CONTAINED, "HALTED": _CONTAINED},
    "TradingSwitch": {
        "RUNNING": AT_REST,
        "OPENS_STOPPED": Exit("people", pages=(_SWITCH, _TAKE_BACK)),
        "ALL_STOPPED": Exit("people", pages=(_SWITCH, _TAKE_BACK)),
    },
    "VenueHalt": {
        OPEN: Exit(
            "the desk, by asking; a restored desk's by manage.py after_restore, else people",
            "settlement.resume",
            (Page("settlement_venuehalt_changelist", "settlement.lift_venuehalt", "Lift the halt"),),
        ),
        "LIFTED": AT_REST,
    },
    "LateWord": {
        "OPEN": Exit("people", pages=(_WITHDRAWAL,)),
        "ANSWERED": AT_REST,
    },
    "WithdrawalDecision": {
        "REQUESTED": Exit(
            "an approver",
            pages=(Page("counter_withdrawaldecision_decide", "counter.approve_withdrawaldecision", APPROVE),),
        ),
        **dict.fromkeys(("APPLIED", "REJECTED", "VOID"), AT_REST),
    },
    "Withdrawal": {
        "RESERVED": Exit(
            "the wallet service, which confirms or releases it; else people", "wallet", (_WITHDRAWAL,)
        ),
        **dict.fromkeys(("CONFIRMED", "RELEASED"), AT_REST),
    },
}
# States that no field declares.
UNDECLARED = {"Conflict": (OPEN, "RESOLVED"), "VenueHalt": (OPEN, "LIFTED")}
# What ends a state and is no task: a process of ours that judges each second, and another service by its API.
NO_TASKS = {"feed": "the feed", "wallet": "/wallet/v1/withdrawals"}


def declared() -> Iterator[tuple[str, str]]:
    """Every (model, state) that there is."""
    for model in sorted(apps.get_models(), key=lambda model: model.__name__):
        for field in state_fields(model):
            yield from ((model.__name__, str(value)) for value, _ in field.choices or ())
    yield from ((model, state) for model, states in UNDECLARED.items() for state in states)


def operations(model: str, state: str) -> list[Operation]:
    """What people may do about a row of the desk in a state."""
    return [
        operation
        for operation in OPERATIONS.values()
        if SUBJECTS[operation.subject].__name__ == model and state in operation.states
    ]


def unended() -> list[str]:
    """States that nobody ends, states without a row here, and rows here of no state."""
    known = set(declared())
    rows = {(model, state): row for model, states in EXITS.items() for state, row in states.items()}
    missing = [f"{model} {state}: no row" for model, state in sorted(known - rows.keys())]
    stale = [f"{model} {state}: no such state" for model, state in sorted(rows.keys() - known)]
    ended_by_nobody = [
        f"{model} {state}: nobody ends it"
        for (model, state), row in rows.items()
        if not (row.rests or row.sweep or row.pages or operations(model, state))
    ]
    return missing + stale + ended_by_nobody


def table() -> str:
    """The table of docs/states.md."""
    lines = ["| lifecycle | state | who | by what |", "| --- | --- | --- | --- |"]
    lines += [_line(model, state, row) for model in sorted(EXITS) for state, row in EXITS[model].items()]
    return "\n".join(lines) + "\n"


def _line(model: str, state: str, row: Exit) -> str:
    by: list[Any] = [NO_TASKS.get(row.sweep, f"`{row.sweep}`")] if row.sweep else []
    by += [f"*{page.press}*" for page in row.pages]
    by += [f"*{each.title}*{' (two people)' if each.needs_two else ''}" for each in operations(model, state)]
    who = row.who if not row.rests else "at rest"
    return f"| {model} | {state} | {who} | {', '.join(by)} |"
