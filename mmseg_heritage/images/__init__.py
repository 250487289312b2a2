"""Pixels in and out: photographs of every kind, masks and color profiles. Needs no torch."""
