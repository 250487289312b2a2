"""Figures of a run, drawn with matplotlib, and pictures of predictions."""
