"""Predictions that a person reviews: the page, what its review.json changes, a set to train on."""
