"""The desk's tables, one subject a module."""

from settlement.models.book import DeskAccount, DeskTransfer
from settlement.models.conversions import Allocation, Carry, Conversion, Fill
from settlement.models.funds import FundsTransfer
from settlement.models.halts import VenueHalt
from settlement.models.history import Attempt, StateChange
from settlement.models.interventions import Intervention
from settlement.models.reconciliation import ReconciliationBreak, ReconciliationRun

__all__ = [
    "Allocation",
    "Attempt",
    "Carry",
    "Conversion",
    "DeskAccount",
    "DeskTransfer",
    "Fill",
    "FundsTransfer",
    "Intervention",
    "ReconciliationBreak",
    "ReconciliationRun",
    "StateChange",
    "VenueHalt",
]
