"""`make chaos`: load through the whole stack while a seeded schedule breaks its parts; then a proof of what is left."""
