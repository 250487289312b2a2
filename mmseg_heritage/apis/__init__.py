"""What the command line does, as functions: it calls these.

Each is imported when it is first used; :func:`apply_review`, :func:`compare`,
:func:`condition_record`, :func:`convert`, :func:`report` and :func:`review` need no torch.
"""

from typing import TYPE_CHECKING

from mmseg_heritage.utils.lazy import lazy_names

if TYPE_CHECKING:
    from mmseg_heritage.apis.augmenting import augment
    from mmseg_heritage.apis.comparing import compare
    from mmseg_heritage.apis.condition.comparing_photographs import compare_photographs
    from mmseg_heritage.apis.condition.condition_records import condition_record
    from mmseg_heritage.apis.converting import convert
    from mmseg_heritage.apis.exporting import export
    from mmseg_heritage.apis.folds import run_folds
    from mmseg_heritage.apis.predicting import predict
    from mmseg_heritage.apis.refining.calibrating import calibrate
    from mmseg_heritage.apis.refining.learning import learn
    from mmseg_heritage.apis.reporting import report
    from mmseg_heritage.apis.reviews.applying_reviews import apply_review
    from mmseg_heritage.apis.reviews.reviewing import review
    from mmseg_heritage.apis.testing import test
    from mmseg_heritage.apis.training import train
    from mmseg_heritage.apis.visualizing import visualize
    from mmseg_heritage.runs.load_predictor import Predictor

__all__ = [
    "Predictor",
    "apply_review",
    "augment",
    "calibrate",
    "compare",
    "compare_photographs",
    "condition_record",
    "convert",
    "export",
    "learn",
    "predict",
    "report",
    "review",
    "run_folds",
    "test",
    "train",
    "visualize",
]

__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "Predictor": "mmseg_heritage.runs.load_predictor",
        "apply_review": "mmseg_heritage.apis.reviews.applying_reviews",
        "augment": "mmseg_heritage.apis.augmenting",
        "calibrate": "mmseg_heritage.apis.refining.calibrating",
        "compare": "mmseg_heritage.apis.comparing",
        "compare_photographs": "mmseg_heritage.apis.condition.comparing_photographs",
        "condition_record": "mmseg_heritage.apis.condition.condition_records",
        "convert": "mmseg_heritage.apis.converting",
        "export": "mmseg_heritage.apis.exporting",
        "learn": "mmseg_heritage.apis.refining.learning",
        "predict": "mmseg_heritage.apis.predicting",
        "report": "mmseg_heritage.apis.reporting",
        "review": "mmseg_heritage.apis.reviews.reviewing",
        "run_folds": "mmseg_heritage.apis.folds",
        "test": "mmseg_heritage.apis.testing",
        "train": "mmseg_heritage.apis.training",
        "visualize": "mmseg_heritage.apis.visualizing",
    },
)
