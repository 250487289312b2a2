"""Decoded photographs and masks, kept in memory or on disk."""
