"""From the Parquet files of the ARTeFACT data set to a folder of images and annotations.

The data set is ``danielaivanova/damaged-media`` on the Hugging Face hub.
"""

from mmseg_heritage.dataprep.hub.download import DEFAULT_REVISION, REPOSITORY, download
from mmseg_heritage.dataprep.hub.prepare_folder import Prepared, prepare
from mmseg_heritage.dataprep.hub.shards import require_pyarrow

__all__ = [
    "DEFAULT_REVISION",
    "REPOSITORY",
    "Prepared",
    "download",
    "prepare",
    "require_pyarrow",
]
