"""Rows that customers know by a public id: staff find them by it, and read it out."""

from typing import Any

from django.db.models import Model, QuerySet
from django.http import HttpRequest
from unfold.decorators import display

from counter.public_ids import Kind, public_id, row_of
from infra.admin.readonly import ReadOnlyAdmin


class PublicIdAdmin(ReadOnlyAdmin):
    """Shows the public id of each row, and searches by public ids in place of everything else."""

    id_kind = Kind.ORDER
    searched_ids: dict[Kind, str] = {
        Kind.ORDER: "pk"
    }  # the indexed column that the ids of a kind are looked for in
    readonly_fields = ["public_id"]

    @display(description="id as the customer has it")
    def public_id(self, row: Model) -> str:
        """To be read out to the customer."""
        return public_id(self.id_kind, row.pk)

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        """The row of a public id, none if these rows have no such ids; of another term what is searched besides."""
        known = row_of(search_term.strip())
        if known is not None:
            kind, row = known
            column = self.searched_ids.get(kind)
            return queryset.none() if column is None else queryset.filter(**{column: row}), False
        return super().get_search_results(request, queryset, search_term)
