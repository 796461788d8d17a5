"""Prices of options: pure, exact where money is, float inside the models only."""
