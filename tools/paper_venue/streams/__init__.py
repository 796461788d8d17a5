"""What the venue pushes: market data and an account's own events over websockets, as Binance streams them."""
