"""Mapping files that come with the package, for the command import-data."""
