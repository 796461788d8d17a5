"""Every error code of the API as data: its HTTP status, what it means, when to try again."""

from dataclasses import dataclass

from counter.orders.requests import RejectCode


@dataclass(frozen=True, slots=True)
class ErrorCode:
    """`retry_after_seconds` is set when the same request may well succeed a moment later.

    Of an order that is refused with a `final` one nothing is ever placed by any attempt with its id: what
    stands against it does not pass.
    """

    status: int
    meaning: str
    retry_after_seconds: int | None = None
    final: bool = False


ORDER_CODES: dict[str, ErrorCode] = {
    RejectCode.ACCOUNT_NOT_FOUND: ErrorCode(404, "The customer has no account."),
    RejectCode.OPTION_NOT_FOUND: ErrorCode(404, "There is no such option."),
    RejectCode.POSITION_NOT_FOUND: ErrorCode(404, "The customer has no such position."),
    RejectCode.CLIENT_ORDER_ID_REUSED: ErrorCode(
        409, "The id was already used for an order of other content.", final=True
    ),
    RejectCode.OPTION_HALTED: ErrorCode(409, "The option takes no opening orders at present."),
    RejectCode.OPTION_EXPIRED: ErrorCode(409, "The option has expired.", final=True),
    RejectCode.OPENS_ENDED: ErrorCode(
        409, "The option expires too soon to be opened; it can still be closed.", final=True
    ),
    RejectCode.COIN_HALTED: ErrorCode(
        409, "The coin takes no opening orders at present; `GET /api/v1/quotes` says why. Closing goes on."
    ),
    RejectCode.TRADING_STOPPED: ErrorCode(
        409, "The coin, or every coin, has been stopped; `GET /api/v1/quotes` says whether closing goes on."
    ),
    RejectCode.TOO_MANY_ORDERS: ErrorCode(
        429, "More orders than this customer may place in a second.", retry_after_seconds=1
    ),
    RejectCode.CONTRACTS_LIMIT: ErrorCode(422, "More contracts than the customer may have open."),
    RejectCode.NOTIONAL_LIMIT: ErrorCode(422, "More USDT than the customer may have open."),
    RejectCode.SERIES_LIMIT: ErrorCode(409, "Not so much of the option is sold at present."),
    RejectCode.PAYOUT_AT_FILL_ONLY: ErrorCode(
        409, "Closes are not paid at once at present; with payout at_fill they are taken."
    ),
    RejectCode.PRICE_MOVED: ErrorCode(
        409,
        "The cost is above max_cost, or proceeds are below min_proceeds; without one, the price has just moved far, or "
        "the order is so large that it moves its price itself. With max_cost, min_proceeds or quote_id it is taken.",
    ),
    RejectCode.QUOTE_MISSING: ErrorCode(409, "The option has no price on this side."),
    RejectCode.AMOUNT_TOO_SMALL: ErrorCode(422, "The order is worth less than 0.000001 USDT."),
    RejectCode.AMOUNT_TOO_LARGE: ErrorCode(422, "Amounts would have more digits than are kept."),
    RejectCode.INSUFFICIENT_BALANCE: ErrorCode(422, "The account holds less than that."),
    RejectCode.POSITION_TOO_SMALL: ErrorCode(422, "Fewer contracts are left in the position."),
    RejectCode.QUOTE_NOT_FOUND: ErrorCode(404, "The customer has no such firm quote."),
    RejectCode.QUOTE_EXPIRED: ErrorCode(409, "The firm quote has expired.", final=True),
    RejectCode.QUOTE_USED: ErrorCode(409, "Another order has used the firm quote.", final=True),
    RejectCode.QUOTE_MISMATCH: ErrorCode(
        422, "The firm quote is for another option, side, position, size or payout.", final=True
    ),
    RejectCode.DESK_BEHIND: ErrorCode(
        503,
        "More is offered of this coin than can be hedged soon; nothing was done. Of other coins orders are taken.",
        retry_after_seconds=1,
    ),
    RejectCode.QUOTE_STALE: ErrorCode(409, "The price is too old to trade on.", retry_after_seconds=1),
}

QUOTE_CODES: dict[str, ErrorCode] = {
    RejectCode.TOO_MANY_QUOTES: ErrorCode(
        429, "As many firm quotes of this customer as may be have not expired yet.", retry_after_seconds=5
    ),
}

CASH_CODES: dict[str, ErrorCode] = {
    "reference_reused": ErrorCode(409, "The reference was already used for something of other content."),
    "withdrawal_not_found": ErrorCode(404, "Nothing was reserved under this reference."),
    "withdrawal_confirmed": ErrorCode(409, "The withdrawal was confirmed: it cannot be released."),
    "withdrawal_released": ErrorCode(409, "The withdrawal was released: it cannot be confirmed."),
}

STATEMENT_CODES: dict[str, ErrorCode] = {
    "range_invalid": ErrorCode(422, "`to` is before `from`, or more than 366 days after it."),
}

WEBHOOK_CODES: dict[str, ErrorCode] = {
    "webhook_url_refused": ErrorCode(422, "Webhooks are not sent to such an address; `message` says why."),
    "too_many_webhook_endpoints": ErrorCode(
        409, "The customer has as many webhook endpoints as are allowed."
    ),
    "webhook_disabled_by_staff": ErrorCode(409, "The exchange has disabled the webhook endpoint."),
}

STAFF_CODES: dict[str, ErrorCode] = {
    "parquet_missing": ErrorCode(501, "Parquet needs the extra `parquet`, which is not installed here."),
}

REQUEST_CODES: dict[str, ErrorCode] = {
    "malformed_json": ErrorCode(400, "The body is not JSON in UTF-8."),
    "invalid_request": ErrorCode(400, "A field is missing, unknown, of a wrong type or out of range."),
    "idempotency_key_refused": ErrorCode(
        400,
        "No Idempotency-Key here: send it again without. An order is repeated by its client_order_id, "
        "a firm quote is asked for anew.",
    ),
    "not_authenticated": ErrorCode(401, "The request carries no credentials."),
    "authentication_failed": ErrorCode(401, "The credentials are not valid."),
    "signature_invalid": ErrorCode(
        401, "The signature does not fit the request, or is of no key known here."
    ),
    "signature_expired": ErrorCode(
        401, "The signature's time is too far from counter's, which `detail` says."
    ),
    "signature_replayed": ErrorCode(401, "The signature, or its nonce, was used before."),
    "customer_required": ErrorCode(403, "The credentials belong to nobody with an account here."),
    "scope_required": ErrorCode(403, "The API key lacks the scope that this needs."),
    "ip_not_allowed": ErrorCode(403, "The API key may not be used from this address."),
    "permission_denied": ErrorCode(403, "These credentials may not do this."),
    "not_found": ErrorCode(404, "There is nothing at this address, or nothing of this customer's."),
    "method_not_allowed": ErrorCode(405, "The address does not take this method."),
    "not_acceptable": ErrorCode(406, "The answer would be JSON, which the request does not accept."),
    "body_late": ErrorCode(408, "The end of the body did not come in time."),
    "body_too_large": ErrorCode(413, "The body has too many bytes."),
    "batch_too_large": ErrorCode(413, "The batch has too many entries."),
    "unsupported_media_type": ErrorCode(
        415, "The body has to be application/json, in UTF-8, and not packed."
    ),
    "throttled": ErrorCode(
        429, "Too many requests of this customer or key; Retry-After says when one is free."
    ),
    "too_many_requests": ErrorCode(
        429,
        "Too many requests of this address that are half sent, or with credentials that are not valid.",
        retry_after_seconds=1,
    ),
    "too_many_streams": ErrorCode(429, "The customer has as many streams open as are allowed."),
    "internal_error": ErrorCode(500, "An error of ours; it has been recorded."),
    "overloaded": ErrorCode(
        503,
        "Too many orders wait, or the order was not reached in time. Nothing was done with this one.",
        retry_after_seconds=1,
    ),
    "unavailable": ErrorCode(
        503,
        "The database did not answer. Whether an order was placed is unknown: "
        "send it again under the same client_order_id.",
        retry_after_seconds=1,
    ),
}

CODES: dict[str, ErrorCode] = {
    **ORDER_CODES,
    **QUOTE_CODES,
    **CASH_CODES,
    **STATEMENT_CODES,
    **WEBHOOK_CODES,
    **STAFF_CODES,
    **REQUEST_CODES,
}
