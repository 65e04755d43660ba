"""Accuracies that are looked up."""
