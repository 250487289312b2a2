"""Regions as polygons, pixels within polygons, and masks as runs."""
