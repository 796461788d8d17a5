"""What the audit and the reconciliation allow before they say that something is wrong."""

from config.settings.limits import WITHDRAWAL_OVERDUE_AFTER_SECONDS

# How old a row may grow in a state that has neither an owner nor a due time before the audit calls it forgotten.
AUDIT_AGE_LIMITS_SECONDS = {
    "sync_order": {"PENDING": 30},
    "option": {"LISTED": 120, "HALTED": 120},  # after its expiry
    "expiry": {"WAITING": 120, "EXERCISING": 300},
    "accepted_order": {"RECEIVED": 60, "SETTLED": 60},
    "conversion": {"PLANNED": 30, "SUBMITTED": 30, "FILLED": 30},
    "funds_transfer": {"PLANNED": 30, "SUBMITTED": 30},
    "intervention": {},
    "clearing_payment": {"APPROVED": 300},  # counter answers within seconds
    "late_fee": {"UNVALUED": 86_400},
    "withdrawal": {"RESERVED": WITHDRAWAL_OVERDUE_AFTER_SECONDS},
}
AUDIT_OVERDUE_AFTER_SECONDS = 60.0  # and how long after its due time one that has one
AUDIT_CLOCK_TOLERANCE_SECONDS = 10.0  # by which times of different processes and of the venue may differ
AUDIT_RECHECK_AFTER_SECONDS = 2.5  # longer than the resuming sweep takes to come round
AUDIT_VENUE_TRADES_DAYS = 7  # trades older than this are proved by the wallets only

RECONCILE_OVERLAP_SECONDS = 600.0  # before its watermark a run looks again: what the venue showed late
RECONCILE_GRACE_SECONDS = 60.0  # younger orders are left to the next run: they are still on their way
