"""The venue's refusals: Binance's codes, messages and HTTP statuses.

A 4xx with one of these codes means that nothing was done; anything else leaves the caller in doubt.
Source: Binance Spot API documentation, "Error codes".
"""

from __future__ import annotations


class ApiError(Exception):
    """A refusal, rendered as ``{"code": ..., "msg": ...}``."""

    status = 400
    code = -1000
    message = "An unknown error occurred while processing the request."

    def __init__(self, message: str | None = None) -> None:
        super().__init__(message or self.message)
        self.message = message or self.message

    @property
    def headers(self) -> dict[str, str]:
        return {}


class NoSuchEndpoint(ApiError):
    status, code, message = 404, -1020, "This operation is not supported."


class TooMuchWeight(ApiError):
    """The address used up its request weight (429), or went on after being told so (418)."""

    code = -1003

    def __init__(self, *, message: str, status: int, retry_after_seconds: int) -> None:
        super().__init__(message)
        self.status = status
        self.retry_after_seconds = retry_after_seconds

    @property
    def headers(self) -> dict[str, str]:
        return {"Retry-After": str(self.retry_after_seconds)}


class TooManyOrders(ApiError):
    status, code = 429, -1015

    def __init__(self, *, limit: int, interval: str, retry_after_seconds: int) -> None:
        super().__init__(f"Too many new orders; current limit is {limit} orders per {interval}.")
        self.retry_after_seconds = retry_after_seconds

    @property
    def headers(self) -> dict[str, str]:
        return {"Retry-After": str(self.retry_after_seconds)}


class ServiceClosed(ApiError):
    """The venue is under maintenance; nothing is executed."""

    status, code, message = 503, -1016, "This service is no longer available."


class TimestampOutsideWindow(ApiError):
    code, message = -1021, "Timestamp for this request is outside of the recvWindow."


class TimestampAhead(ApiError):
    code, message = -1021, "Timestamp for this request was 1000ms ahead of the server's time."


class WindowTooLarge(ApiError):
    code, message = -1131, "recvWindow must be less than 60000."


class SignatureInvalid(ApiError):
    code, message = -1022, "Signature for this request is not valid."


class KeyMalformed(ApiError):
    status, code, message = 401, -2014, "API-key format invalid."


class KeyUnknown(ApiError):
    status, code, message = 401, -2015, "Invalid API-key, IP, or permissions for action."


class IllegalCharacters(ApiError):
    code = -1100

    def __init__(self, *, name: str, legal: str) -> None:
        super().__init__(f"Illegal characters found in parameter '{name}'; legal range is '{legal}'.")


class DuplicateParameter(ApiError):
    code, message = -1101, "Duplicate values for a parameter detected."


class ParameterMissing(ApiError):
    code = -1102

    def __init__(self, name: str) -> None:
        super().__init__(f"Mandatory parameter '{name}' was not sent, was empty/null, or malformed.")


class EitherParameterMissing(ApiError):
    code = -1102

    def __init__(self, first: str, second: str) -> None:
        super().__init__(f"Param '{first}' or '{second}' must be sent, but both were empty/null!")


class ParametersUnread(ApiError):
    code = -1104

    def __init__(self, *, read: int, sent: int) -> None:
        super().__init__(
            f"Not all sent parameters were read; read '{read}' parameter(s) but was sent '{sent}'."
        )


class ParameterEmpty(ApiError):
    code = -1105

    def __init__(self, name: str) -> None:
        super().__init__(f"Parameter '{name}' was empty.")


class ParameterNotRequired(ApiError):
    code = -1106

    def __init__(self, name: str) -> None:
        super().__init__(f"Parameter '{name}' sent when not required.")


class TooMuchPrecision(ApiError):
    code = -1111

    def __init__(self, name: str) -> None:
        super().__init__(f"Parameter '{name}' has too much precision.")


class InvalidTimeInForce(ApiError):
    code, message = -1115, "Invalid timeInForce."


class InvalidOrderType(ApiError):
    code, message = -1116, "Invalid orderType."


class InvalidSide(ApiError):
    code, message = -1117, "Invalid side."


class InvalidInterval(ApiError):
    code, message = -1120, "Invalid interval."


class ListenKeyUnknown(ApiError):
    code, message = -1125, "This listenKey does not exist."


class UnknownMethod(ApiError):
    code, message = -1020, "This operation is not supported."


class NoSuchSubscription(ApiError):
    code, message = -1175, "The requested subscription does not exist."


class InvalidSymbol(ApiError):
    code, message = -1121, "Invalid symbol."


class IntervalTooLong(ApiError):
    code = -1127

    def __init__(self, *, hours: int) -> None:
        super().__init__(f"More than {hours} hours between startTime and endTime.")


class BadCombination(ApiError):
    code, message = -1128, "Combination of optional parameters invalid."


class InvalidParameter(ApiError):
    code = -1130

    def __init__(self, name: str) -> None:
        super().__init__(f"Data sent for parameter '{name}' is not valid.")


class FilterFailure(ApiError):
    code = -1013

    def __init__(self, filter_type: str) -> None:
        super().__init__(f"Filter failure: {filter_type}")


class QuantityInvalid(ApiError):
    code, message = -1013, "Invalid quantity."


class PriceInvalid(ApiError):
    code, message = -1013, "Invalid price."


class InsufficientBalance(ApiError):
    code, message = -2010, "Account has insufficient balance for requested action."


class DuplicateOrder(ApiError):
    code, message = -2010, "Duplicate order sent."


class MarketClosed(ApiError):
    code, message = -1013, "Market is closed."


class TradingDisabled(ApiError):
    code, message = -2010, "This account may not place or cancel orders."


class WouldTake(ApiError):
    code, message = -2010, "Order would immediately match and take."


class UnknownOrder(ApiError):
    """A cancel that names no open order."""

    code, message = -2011, "Unknown order sent."


class NoSuchOrder(ApiError):
    """A query that names no order."""

    code, message = -2013, "Order does not exist."


class NoSuchAsset(ApiError):
    code, message = -4018, "We don't have this asset."


class AmountNotPositive(ApiError):
    code, message = -5007, "Quantity must be greater than zero."


class TransferUnfunded(ApiError):
    code, message = -5013, "Asset transfer failed: insufficient balance"
