"""Damage segmentation on photographs of heritage objects, as an mmsegmentation plugin.

Importing this package is light: neither torch nor mmseg is loaded. With mmcv-lite it lets
``mmseg.apis`` and ``mmseg.models`` be imported (docs/reference/compat.md).
``import mmseg_heritage.plugin`` (or ``custom_imports`` in a config) registers everything into
mmsegmentation's registries.
"""

from mmseg_heritage.compat import install_ops_stub
from mmseg_heritage.version import __version__

install_ops_stub()

__all__ = ["__version__"]
