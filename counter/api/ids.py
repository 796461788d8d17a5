"""Public ids in messages and addresses: the fields that hold them, and the rows that asked ones are of."""

from typing import Annotated

from drf_spectacular.utils import OpenApiParameter
from msgspec import Meta

from counter.api.errors import ApiError
from counter.public_ids import NOBODYS, Kind, NoPublicId, pattern, row_id

# As the documentation shows them: made under a key that was thrown away, they are no row's.
EXAMPLES = {
    Kind.ORDER: "ord_7111678f1c4ecfb209db133f065f2121",
    Kind.POSITION: "pos_a41e812b3736b5613b45a212abd6a082",
    Kind.FIRM_QUOTE: "quo_fbabb84afad457afd2fdaea223d06830",
    Kind.LEDGER_ENTRY: "ent_59e0363d2773f77ded58d8e73ceec149",
    Kind.WITHDRAWAL: "wdr_f7a5e4b961f30836fef01ec93a40e6b6",
}


def _written(kind: Kind) -> Meta:
    return Meta(pattern=pattern(kind), description="Opaque.", examples=[EXAMPLES[kind]])


OrderId = Annotated[str, _written(Kind.ORDER)]
PositionId = Annotated[str, _written(Kind.POSITION)]
FirmQuoteId = Annotated[str, _written(Kind.FIRM_QUOTE)]
LedgerEntryId = Annotated[str, _written(Kind.LEDGER_ENTRY)]
WithdrawalId = Annotated[str, _written(Kind.WITHDRAWAL)]
_CURSOR = Meta(description="`next_cursor` of the page before.")
OrderCursor = Annotated[OrderId, _CURSOR]
PositionCursor = Annotated[PositionId, _CURSOR]
LedgerCursor = Annotated[LedgerEntryId, _CURSOR]
WithdrawalCursor = Annotated[WithdrawalId, _CURSOR]


def id_parameter(name: str, kind: Kind) -> OpenApiParameter:
    """The id in an address, for the schema."""
    written = {"type": "string", "pattern": pattern(kind), "example": EXAMPLES[kind]}
    return OpenApiParameter(name, written, OpenApiParameter.PATH)


def asked_row(kind: Kind, text: str, name: str) -> int:
    """The row of an id in an address, by its parameter's `name`; nobody's if the id was not given out.

    Raises: ApiError.
    """
    try:
        return row_id(kind, text)
    except NoPublicId as error:
        raise ApiError("invalid_request", str(error), path=f"$.{name}") from error


def named_row(kind: Kind, text: str | None) -> int | None:
    """The row of an id in a message, whose pattern holds; None if there is none in it."""
    return None if text is None else row_id(kind, text)


def row_before(kind: Kind, cursor: str | None) -> int | None:
    """The row that a list's page ended with, by its cursor; None on the first page.

    Raises: ApiError.
    """
    before = named_row(kind, cursor)
    if before == NOBODYS:
        raise ApiError("not_found", "no list has told this cursor", path="$.cursor")
    return before
