"""Exchanges behind ccxt: amounts as strings, bounded calls, a breaker for each host, pushed books."""
