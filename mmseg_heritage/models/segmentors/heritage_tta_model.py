"""Merging the predictions of several views of a photograph, at every level."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from mmengine.structures import PixelData
from mmseg.models.segmentors import SegTTAModel
from mmseg.registry import MODELS
from torch import Tensor

from mmseg_heritage.taxonomy import FINE_LEVEL


@MODELS.register_module()
class HeritageTTAModel(SegTTAModel):
    """mmsegmentation's SegTTAModel, whose levels and ``seg_logits`` are those of the merged views.

    Probabilities of the views are averaged, at each level of a hierarchical head too. mmseg's own
    class merges the map of the classes only, and leaves the scores and levels of the last view.
    ``seg_logits`` are the logarithms of the averaged probabilities (of a head with one channel the
    averaged probability, as mmsegmentation has it), so that their softmax gives the probabilities.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if hasattr(self.module, "keeps_scores"):
            self.module.keeps_scores = True

    def merge_preds(self, data_samples_list: Sequence[Sequence[Any]]) -> list[Any]:
        """Merges the views of each photograph.

        Args:
            data_samples_list: For each photograph the samples of its views, at its own size.

        Returns:
            For each photograph one sample, with the fields of a sample of the segmentor.
        """
        return [self._merged(views) for views in data_samples_list]

    def _merged(self, views: Sequence[Any]) -> Any:
        head = self.module.decode_head
        sample = views[0]
        hierarchy = getattr(head, "scores", None)
        if hierarchy is not None:
            found = [hierarchy.probabilities(view.scores.data[None]) for view in views]
            probs = {name: torch.stack([p[name] for p in found]).mean(dim=0) for name in found[0]}
            maps = hierarchy.choose(probs)
            _set(sample, probs[FINE_LEVEL][0], maps.pop(FINE_LEVEL))
            for name, ids in maps.items():
                sample.set_data({f"pred_sem_seg_{name}": PixelData(data=ids)})
            del sample.scores
            return sample
        logits = [view.seg_logits.data for view in views]
        if self.module.out_channels == 1:
            # postprocess_result has made probabilities of them.
            mean = torch.stack(logits).mean(dim=0)
            sample.set_data({"seg_logits": PixelData(data=mean)})
            sample.set_data({"pred_sem_seg": PixelData(data=(mean > head.threshold).to(mean))})
            return sample
        probs = torch.stack([values.softmax(dim=0) for values in logits]).mean(dim=0)
        _set(sample, probs, probs.argmax(dim=0, keepdim=True))
        return sample


def _set(sample: Any, probabilities: Tensor, ids: Tensor) -> None:
    """Puts the map of the classes and their logits into a sample."""
    smallest = torch.finfo(probabilities.dtype).tiny
    logits = probabilities.clamp(min=smallest).log()
    sample.set_data({"seg_logits": PixelData(data=logits), "pred_sem_seg": PixelData(data=ids)})
