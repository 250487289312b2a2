"""Merging the predictions of several views of a photograph, at every level."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from mmengine.structures import PixelData
from mmseg.models.segmentors import SegTTAModel
from mmseg.registry import MODELS

from mmseg_heritage.models.segmentors.heritage_encoder_decoder import HeritageEncoderDecoder
from mmseg_heritage.models.segmentors.predicted_samples import map_field
from mmseg_heritage.scores.head_scores import HeadScores
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
        if isinstance(self.module, HeritageEncoderDecoder):
            self.module.window_inference.logits = True

    def merge_preds(self, data_samples_list: Sequence[Sequence[Any]]) -> list[Any]:
        """Merges the views of each photograph.

        Args:
            data_samples_list: For each photograph the samples of its views, at its own size.

        Returns:
            For each photograph one sample, with the fields of a sample of the segmentor.
        """
        return [self._merged(views) for views in data_samples_list]

    def _merged(self, views: Sequence[Any]) -> Any:
        scores = HeadScores(self.module.decode_head)
        sample = views[0]
        if isinstance(self.module, HeritageEncoderDecoder):
            found = [scores.normalized(view.log_probabilities.data) for view in views]
            del sample.log_probabilities
        elif self.module.out_channels == 1:  # mmsegmentation has made probabilities of them
            found = [torch.cat([1 - p, p]) for p in (view.seg_logits.data for view in views)]
        else:
            found = [view.seg_logits.data.softmax(dim=0) for view in views]
        logs = scores.logs(torch.stack(found).mean(dim=0))
        sample.set_data({"seg_logits": PixelData(data=scores.class_logits(logs))})
        maps = scores.maps(logs)
        if "confidence" in sample:
            confidence = scores.confidence(logs, maps[FINE_LEVEL])
            sample.set_data({"confidence": PixelData(data=confidence[None])})
        for name, ids in maps.items():
            sample.set_data({map_field(name): PixelData(data=ids[None])})
        return sample
