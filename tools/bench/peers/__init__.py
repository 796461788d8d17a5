"""What Crossbook is held against: projects of their own, each run in processes of its own."""
