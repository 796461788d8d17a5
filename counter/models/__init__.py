"""Counter's tables, one subject a module."""

from counter.models.accounts import Account, Customer, Transfer
from counter.models.api_keys import ApiKey, Pace
from counter.models.cash import CashMovement, Withdrawal
from counter.models.clearing import ClearingPayment
from counter.models.depths import DepthChange
from counter.models.expiry import Expiry, IndexEntry, OptionChange, SettlementIndex
from counter.models.firm_quotes import FirmQuote
from counter.models.index import IndexRejection
from counter.models.limits import LimitChange, SeriesLimit
from counter.models.listening import StreamProcess
from counter.models.nonces import UsedNonce
from counter.models.options import IndexPrice, Option, Quote
from counter.models.orders import SyncOrder
from counter.models.portfolio import PortfolioValue
from counter.models.positions import Position
from counter.models.switches import ResumeRequest, TradingSwitch, TradingSwitchChange
from counter.models.trading import (
    BookFlow,
    DeskCondition,
    DeskProgress,
    TradingStatus,
    TradingStatusChange,
)
from counter.models.webhooks import WebhookAttempt, WebhookDelivery, WebhookEndpoint
from counter.models.withdrawal_decisions import LateWord, WithdrawalDecision

__all__ = [
    "Account",
    "ApiKey",
    "BookFlow",
    "CashMovement",
    "ClearingPayment",
    "Customer",
    "DepthChange",
    "DeskCondition",
    "DeskProgress",
    "Expiry",
    "FirmQuote",
    "IndexEntry",
    "IndexPrice",
    "IndexRejection",
    "LateWord",
    "LimitChange",
    "Option",
    "OptionChange",
    "Pace",
    "PortfolioValue",
    "Position",
    "Quote",
    "ResumeRequest",
    "SeriesLimit",
    "SettlementIndex",
    "StreamProcess",
    "SyncOrder",
    "TradingStatus",
    "TradingStatusChange",
    "TradingSwitch",
    "TradingSwitchChange",
    "Transfer",
    "UsedNonce",
    "WebhookAttempt",
    "WebhookDelivery",
    "WebhookEndpoint",
    "Withdrawal",
    "WithdrawalDecision",
]
