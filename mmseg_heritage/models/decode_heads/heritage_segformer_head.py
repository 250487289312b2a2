"""SegFormer's decoder, with its feature maps joined before they are resized."""

from __future__ import annotations

from collections.abc import Sequence

import torch.nn.functional as F
from mmseg.models.decode_heads import SegformerHead
from mmseg.models.utils import resize
from mmseg.registry import MODELS
from torch import Tensor


@MODELS.register_module()
class HeritageSegformerHead(SegformerHead):
    """mmsegmentation's SegformerHead, which gives the same scores with less work.

    The decoder of SegFormer (Xie et al., NeurIPS 2021, arXiv:2105.15203) resizes the maps of all
    levels to the finest one, and joins them by a convolution of 1 x 1. Both are linear, and one
    works on pixels, the other on channels: so they can be swapped. Here each level goes through its
    share of the convolution at its own size, where the coarser ones have 4, 16 and 64 times fewer
    pixels, and the results are resized and added. Scores differ by rounding only (in 16 bits by
    about as much as mmsegmentation's differ from float32). Parameters have the same names and
    shapes: checkpoints fit both heads. The convolution is read for its weights and never called:
    forward hooks on ``fusion_conv`` see nothing.

    Arguments are those of :class:`mmseg.models.decode_heads.SegformerHead`.
    """

    def forward(self, inputs: Sequence[Tensor]) -> Tensor:
        """Computes the scores.

        Args:
            inputs: Feature maps (N, C_i, h_i, w_i), of which ``in_index`` are read; the finest of
                these comes first.

        Returns:
            (N, K, h_0, w_0).
        """
        maps = self._transform_inputs(inputs)
        join, width = self.fusion_conv.conv, self.channels
        # By index, without asking for sizes: torch.fx can then trace it.
        joined = F.conv2d(self.convs[0](maps[0]), join.weight[:, :width], join.bias)
        for i in range(1, len(self.convs)):
            part = F.conv2d(self.convs[i](maps[i]), join.weight[:, i * width : (i + 1) * width])
            joined = joined + resize(
                part, maps[0].shape[2:], None, self.interpolate_mode, self.align_corners, False
            )
        if self.fusion_conv.with_norm:
            joined = self.fusion_conv.norm(joined)
        scores: Tensor = self.cls_seg(self.fusion_conv.activate(joined))
        return scores
