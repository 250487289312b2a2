"""Version of the package, alone in a file that setup.py and mim read without importing it."""

__version__ = "0.1.0"
