"""Weights that many networks begin with or share: one training for all networks of a space, or a trained parent's."""
