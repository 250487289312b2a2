"""From a photograph to class maps: the model, and how it is applied.

Importing this package registers :class:`WindowInference` with mmsegmentation.
"""

from mmseg_heritage.inference.window_inference import WindowInference

__all__ = ["WindowInference"]
