"""The customer's withdrawals, which the exchange's wallet service asks for and pays out."""

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from counter.api.openapi import READING_ERRORS, answers, described
from counter.api.pages import page_of
from counter.api.parsers import query_of
from counter.api.times import between
from counter.api.views import CustomerView
from counter.api.wallet_messages import WithdrawalPage, WithdrawalQuery, withdrawal_body
from counter.models import Withdrawal
from counter.public_ids import Kind


class WithdrawalsView(CustomerView):
    """The customer's withdrawals."""

    @extend_schema(
        operation_id="list_withdrawals",
        tags=["account"],
        parameters=[described(WithdrawalQuery)],
        responses=answers(READING_ERRORS, {200: WithdrawalPage}),
        summary="List own withdrawals, newest first",
    )
    def get(self, request: Request) -> Response:
        """What has left the account for the wallet to pay out, and what became of it."""
        query = query_of(request, WithdrawalQuery)
        rows = Withdrawal.objects.filter(customer_id=self.customer_id)
        if query.state is not None:
            rows = rows.filter(state=query.state.upper())
        page, next_cursor = page_of(between(rows, query, "reserved_at"), query, Kind.WITHDRAWAL)
        return Response(WithdrawalPage([withdrawal_body(row) for row in page], next_cursor))
