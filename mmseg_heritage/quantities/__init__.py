"""How much damage a class map shows: areas, lengths, widths and numbers, in pixels and millimeters.

Needs neither torch nor mmseg. What each number means: docs/reference/quantities.md.
"""

UNSURE_BELOW = 0.7
"""Confidence below which a pixel is unsure, if not told. With two classes none is below 0.5."""
