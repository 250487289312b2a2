"""From a photograph to class maps: the network, and how it is applied.

:mod:`~mmseg_heritage.inference.window_engine` and what it stands on need no torch.
"""

from typing import TYPE_CHECKING

from mmseg_heritage.utils.lazy import lazy_names

if TYPE_CHECKING:
    from mmseg_heritage.inference.window_inference import WindowInference

__all__ = ["WindowInference"]

__getattr__, __dir__ = lazy_names(
    __name__, {"WindowInference": "mmseg_heritage.inference.window_inference"}
)
