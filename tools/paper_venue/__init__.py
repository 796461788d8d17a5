"""A trading venue on this machine that speaks Binance Spot's REST dialect.

It stands where a real venue stands, so it shares no code with the desk that trades on it and imports no Django:
what the desk knows of it, it knows over HTTP.
"""
