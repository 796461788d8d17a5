"""`make demo`: the whole way of an order, on real parts, watched and proven in about a minute."""
