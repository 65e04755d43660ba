"""What to try next: controllers propose decisions and learn from rewards."""
