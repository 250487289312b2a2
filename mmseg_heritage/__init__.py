"""Damage segmentation on photographs of heritage objects, as an mmsegmentation plugin.

Importing this package is light: neither torch nor mmseg is loaded before one of the functions below
is used. With mmcv-lite it lets ``mmseg.apis`` and ``mmseg.models`` be imported
(docs/reference/compat.md).
``import mmseg_heritage.plugin`` (or ``custom_imports`` in a config) registers everything into
mmsegmentation's registries.
"""

from typing import TYPE_CHECKING

from mmseg_heritage.compat import install_ops_stub
from mmseg_heritage.utils.lazy import lazy_names
from mmseg_heritage.version import __version__

if TYPE_CHECKING:
    from mmseg_heritage.apis import Predictor, compare, export, predict, test, train

install_ops_stub()

__all__ = ["Predictor", "__version__", "compare", "export", "predict", "test", "train"]

__getattr__, __dir__ = lazy_names(__name__, dict.fromkeys(__all__, "mmseg_heritage.apis"))
