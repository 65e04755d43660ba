"""Compound scaling: which coefficients, compared on the networks they really build."""
