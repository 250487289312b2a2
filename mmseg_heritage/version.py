"""Version of the package, in a file of its own so that setup.py and mim read it without importing anything."""

__version__ = "0.1.0"
