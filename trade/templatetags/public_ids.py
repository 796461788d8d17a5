"""Ids as the page shows them and sends them back: `{{ order.pk|order_id }}`."""

from django import template

from counter.public_ids import Kind, public_id

register = template.Library()


@register.filter
def order_id(order: int) -> str:
    """Of an order's row."""
    return public_id(Kind.ORDER, order)


@register.filter
def position_id(position: int) -> str:
    """Of a position's row."""
    return public_id(Kind.POSITION, position)


@register.filter
def firm_quote_id(quote: int) -> str:
    """Of a firm quote's row."""
    return public_id(Kind.FIRM_QUOTE, quote)
