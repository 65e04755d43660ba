"""What a search's answer is worth."""
