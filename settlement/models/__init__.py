"""The desk's tables, one subject a module."""

from settlement.models.batches import Batch, BatchRow
from settlement.models.book import DeskAccount, DeskTransfer
from settlement.models.clearing import ClearingPayment
from settlement.models.conversions import Allocation, Carry, CoinRest, Conversion, Fill
from settlement.models.executions import Execution, ExecutionDay, ExecutionsRead
from settlement.models.funds import FundsTransfer
from settlement.models.halts import VenueHalt
from settlement.models.history import Attempt, StateChange
from settlement.models.interventions import Intervention
from settlement.models.late_fees import LateFee
from settlement.models.reconciliation import ReconciliationBreak, ReconciliationRun
from settlement.models.venue_account import VenueAccount
from settlement.models.venue_statement import VenueStatement, VenueTrade

__all__ = [
    "Allocation",
    "Attempt",
    "Batch",
    "BatchRow",
    "Carry",
    "ClearingPayment",
    "CoinRest",
    "Conversion",
    "DeskAccount",
    "DeskTransfer",
    "Execution",
    "ExecutionDay",
    "ExecutionsRead",
    "Fill",
    "FundsTransfer",
    "Intervention",
    "LateFee",
    "ReconciliationBreak",
    "ReconciliationRun",
    "StateChange",
    "VenueAccount",
    "VenueHalt",
    "VenueStatement",
    "VenueTrade",
]
