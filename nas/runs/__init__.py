"""What a run leaves: its directory, its record, what later runs learn from it."""
