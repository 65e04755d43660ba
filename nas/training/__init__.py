"""Training one network in full."""
