"""Pixels in and out: photographs of every kind, masks and colour profiles. Needs no torch."""
