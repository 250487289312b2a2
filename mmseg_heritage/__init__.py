"""Damage segmentation on photographs of heritage objects, as an mmsegmentation plugin.

Importing this package is light: neither torch nor mmseg is loaded. ``import mmseg_heritage.plugin``
(or ``custom_imports`` in a config) registers everything into mmsegmentation's registries.
"""

from mmseg_heritage.version import __version__

__all__ = ["__version__"]
