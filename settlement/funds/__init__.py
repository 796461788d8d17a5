"""The desk's money at the venue: its account, wallets, bands and transfers."""
