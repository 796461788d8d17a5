"""Firm quotes as customers ask for and get them."""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from counter.api.fields import Contracts, Premium, Price, Symbol, Usdt, coin, premium, usdt
from counter.api.ids import FirmQuoteId, PositionId
from counter.contracts import Moment
from counter.market.firm_quotes import CloseQuoteRequest, OpenQuoteRequest, QuoteRequest
from counter.models import FirmQuote
from counter.public_ids import Kind, public_id, row_id


class OpenQuote(msgspec.Struct, forbid_unknown_fields=True, tag_field="side", tag="open"):
    """What contracts of an option would cost."""

    symbol: Symbol
    contracts: Contracts

    def colons(self) -> int:
        """How many colons its JSON needs; see `counter.api.duplicate_fields`."""
        return 3

    def request(self, customer_id: int) -> QuoteRequest:
        """What the customer asks of counter."""
        return OpenQuoteRequest(customer_id=customer_id, symbol=self.symbol, contracts=self.contracts)


class CloseQuote(msgspec.Struct, forbid_unknown_fields=True, tag_field="side", tag="close"):
    """What contracts of a position (all that are left unless `contracts` says how many) would bring, paid at once."""

    position_id: PositionId
    contracts: Contracts | None = None
    symbol: Annotated[Symbol | None, Meta(description="Refused unless it is the position's.")] = None

    def colons(self) -> int:
        """How many colons its JSON needs; see `counter.api.duplicate_fields`."""
        return 2 + (self.contracts is not None) + (self.symbol is not None)

    def request(self, customer_id: int) -> QuoteRequest:
        """What the customer asks of counter."""
        return CloseQuoteRequest(
            customer_id=customer_id,
            position_id=row_id(Kind.POSITION, self.position_id),
            contracts=self.contracts,
            symbol=self.symbol,
        )


AnyQuote = OpenQuote | CloseQuote


class FirmQuoteBody(msgspec.Struct):
    """A promise: one order of this customer, side, symbol and size that names it gets this price until it expires."""

    quote_id: FirmQuoteId
    symbol: Symbol
    side: Annotated[Literal["open", "close"], Meta(title="Side")]
    position_id: Annotated[PositionId | None, Meta(description="Of what is to be closed.")]
    contracts: Contracts
    premium: Premium
    index_price: Price
    fair: Annotated[str, Meta(description="USDT, 6 decimals: the order's coin at the index price.")]
    spread: Annotated[str, Meta(description="USDT, 6 decimals: what Crossbook keeps.")]
    cost: Annotated[Usdt | None, Meta(description="fair + spread; null for a close.")]
    proceeds: Annotated[Usdt | None, Meta(description="fair - spread; null for an open.")]
    given_at: Moment
    expires_at: Moment


def firm_quote_body(quote: FirmQuote) -> FirmQuoteBody:
    """A firm quote as its customer sees it."""
    opening = quote.kind == FirmQuote.Kind.OPEN
    return FirmQuoteBody(
        quote_id=public_id(Kind.FIRM_QUOTE, quote.pk),
        symbol=quote.option.symbol,
        side="open" if opening else "close",
        position_id=None if quote.position_id is None else public_id(Kind.POSITION, quote.position_id),
        contracts=quote.contracts,
        premium=premium(quote.premium),
        index_price=coin(quote.index_price),
        fair=usdt(quote.fair),
        spread=usdt(quote.spread),
        cost=usdt(quote.amount) if opening else None,
        proceeds=None if opening else usdt(quote.amount),
        given_at=quote.given_at,
        expires_at=quote.expires_at,
    )
