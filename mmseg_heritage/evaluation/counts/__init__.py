"""Counts of one image, as pure functions of its label and prediction."""
