"""What the command line does, as functions: it calls these.

Each is imported when it is first used; :func:`compare` and :func:`report` need no torch.
"""

from typing import TYPE_CHECKING

from mmseg_heritage.utils.lazy import lazy_names

if TYPE_CHECKING:
    from mmseg_heritage.apis.augmenting import augment
    from mmseg_heritage.apis.comparing import compare
    from mmseg_heritage.apis.folds import run_folds
    from mmseg_heritage.apis.predicting import predict
    from mmseg_heritage.apis.reporting import report
    from mmseg_heritage.apis.testing import test
    from mmseg_heritage.apis.training import train
    from mmseg_heritage.apis.visualizing import visualize
    from mmseg_heritage.runs.load_predictor import Predictor

__all__ = [
    "Predictor",
    "augment",
    "compare",
    "predict",
    "report",
    "run_folds",
    "test",
    "train",
    "visualize",
]

__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "Predictor": "mmseg_heritage.runs.load_predictor",
        "augment": "mmseg_heritage.apis.augmenting",
        "compare": "mmseg_heritage.apis.comparing",
        "predict": "mmseg_heritage.apis.predicting",
        "report": "mmseg_heritage.apis.reporting",
        "run_folds": "mmseg_heritage.apis.folds",
        "test": "mmseg_heritage.apis.testing",
        "train": "mmseg_heritage.apis.training",
        "visualize": "mmseg_heritage.apis.visualizing",
    },
)
