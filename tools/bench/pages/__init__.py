"""How long the server takes for each page of the admin on tables of millions: `python -m tools.bench.pages`."""
