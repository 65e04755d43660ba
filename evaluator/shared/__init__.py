"""One training for all networks of a space: shared weights, how they are trained, and what they say of a network."""
