"""Controllers and scores against each other on published trainings."""
