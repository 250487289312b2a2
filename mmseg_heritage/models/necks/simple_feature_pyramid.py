"""A feature pyramid from the one feature map of a plain vision transformer."""

from __future__ import annotations

from collections.abc import Sequence

from mmengine.model import BaseModule
from mmseg.registry import MODELS
from timm.layers import LayerNorm2d
from torch import Tensor, nn

from mmseg_heritage.errors import InputError


@MODELS.register_module()
class SimpleFeaturePyramid(BaseModule):
    """Makes maps of 4, 2, 1 and 1/2 times the size of the last map, each on its own.

    The simple feature pyramid of Li et al., "Exploring Plain Vision Transformer Backbones for
    Object Detection", ECCV 2022, arXiv:2203.16527, figure 2 and section 3: transposed convolutions
    for 4 and 2, nothing for 1, max pooling for 1/2; then a 1x1 and a 3x3 convolution, each with a
    layer norm. From stride 16 come the strides 4, 8, 16 and 32.

    Args:
        in_channels: Channels C of the last map.
        out_channels: Channels of each map that is returned.
        init_cfg: mmengine's.

    Raises:
        InputError: If a number of channels is not positive, or C is not a multiple of 4.
    """

    def __init__(
        self, in_channels: int, out_channels: int = 256, init_cfg: dict | None = None
    ) -> None:
        super().__init__(init_cfg)
        if in_channels < 1 or in_channels % 4 or out_channels < 1:
            raise InputError(
                f"SimpleFeaturePyramid(in_channels={in_channels}, out_channels={out_channels}): "
                "expected numbers from 1, in_channels a multiple of 4: the width of the backbone"
            )
        half, quarter = in_channels // 2, in_channels // 4
        four_times = nn.Sequential(
            nn.ConvTranspose2d(in_channels, half, 2, stride=2),
            LayerNorm2d(half),
            nn.GELU(),
            nn.ConvTranspose2d(half, quarter, 2, stride=2),
        )
        # Pooling keeps an odd last row, so that a map of stride s has ceil(L / s) steps.
        scales = (
            (four_times, quarter),
            (nn.ConvTranspose2d(in_channels, half, 2, stride=2), half),
            (nn.Identity(), in_channels),
            (nn.MaxPool2d(2, ceil_mode=True), in_channels),
        )
        self.in_channels = in_channels
        self.levels = nn.ModuleList(
            nn.Sequential(
                scale,
                nn.Conv2d(channels, out_channels, 1, bias=False),
                LayerNorm2d(out_channels),
                nn.Conv2d(out_channels, out_channels, 3, padding=1, bias=False),
                LayerNorm2d(out_channels),
            )
            for scale, channels in scales
        )

    def forward(self, maps: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """Computes the pyramid.

        Args:
            maps: Of the backbone, each (N, C, h, w); the last one is read.

        Returns:
            (N, out_channels, s h, s w) for s in 4, 2, 1, and 1/2 rounded up.

        Raises:
            InputError: If the map has another number of channels.
        """
        found = maps[-1]
        if found.shape[1] != self.in_channels:
            raise InputError(
                f"model.neck.in_channels={self.in_channels}: the backbone's last map has "
                f"{found.shape[1]} channels; set in_channels={found.shape[1]}"
            )
        return tuple(level(found) for level in self.levels)
