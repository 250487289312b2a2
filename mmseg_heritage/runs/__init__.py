"""Preparing a run from its config, and what a run says of itself."""
