"""What the training loop reads: the data set and its transforms."""

from mmseg_heritage import compat

# As in the plugin: workers that are spawned, not forked, import the data set without it.
compat.stub_missing_mmcv_ops()

from mmseg_heritage.datasets.artefact import ARTeFACTDataset  # noqa: E402
from mmseg_heritage.datasets.photograph_backend import PhotographBackend  # noqa: E402
from mmseg_heritage.datasets.seeded import (  # noqa: E402
    NumberedInfiniteSampler,
    NumberedSampler,
    SeededDataset,
)
from mmseg_heritage.datasets.transforms import (  # noqa: E402
    HeritageAugmentation,
    LimitLongEdge,
    LoadARTeFACTAnnotations,
    LoadHeritageImage,
    RandomSquareCrop,
    RareClassCrop,
)

__all__ = [
    "ARTeFACTDataset",
    "HeritageAugmentation",
    "LimitLongEdge",
    "LoadARTeFACTAnnotations",
    "LoadHeritageImage",
    "NumberedInfiniteSampler",
    "NumberedSampler",
    "PhotographBackend",
    "RandomSquareCrop",
    "RareClassCrop",
    "SeededDataset",
]
