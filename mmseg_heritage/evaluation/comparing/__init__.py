"""Tested runs beside each other, with intervals and tests."""
