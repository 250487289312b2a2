"""Turning masks of other forms into the folder layout."""
