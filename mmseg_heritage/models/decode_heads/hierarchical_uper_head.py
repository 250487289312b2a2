"""UPerNet's decoder with classifiers for every level of a tree of classes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from mmengine.model import normal_init
from mmseg.models.decode_heads import UPerHead
from mmseg.models.losses import LovaszLoss
from mmseg.models.utils import resize
from mmseg.registry import MODELS
from torch import Tensor, nn

from mmseg_heritage.dataprep.class_file import parse_classes
from mmseg_heritage.errors import InputError
from mmseg_heritage.hierarchy import Groups, read_levels
from mmseg_heritage.models.decode_heads.hierarchy_scores import HierarchyScores
from mmseg_heritage.models.losses.masked_loss import FACTOR, is_factor
from mmseg_heritage.scores.level_channels import MODES
from mmseg_heritage.taxonomy import (
    ARTEFACT,
    FINE_LEVEL,
    IGNORE_INDEX,
    ClassList,
    named_classes,
)

LossConfig = Mapping[str, Any] | Sequence[Mapping[str, Any]]


@MODELS.register_module()
class HierarchicalUPerHead(UPerHead):
    r"""Predicts Clean/Damage, groups of damage and damage classes from one UPerNet trunk.

    The trunk is mmsegmentation's :class:`UPerHead` (pyramid pooling and FPN; Xiao et al., Unified
    Perceptual Parsing, ECCV 2018, arXiv:1807.10221), and so is the classifier of the classes: a
    checkpoint of the flat head loads into this one. The loss is
    :math:`\sum_l w_l L_l`, each level's computed against the label mapped to that level; the labels
    themselves are never changed, and nothing needs an initialized torch.distributed.

    It belongs into a :class:`~mmseg_heritage.models.segmentors.HeritageEncoderDecoder`, which turns
    the scores into the maps of all levels.

    Args:
        levels: The tree above the classes, from the coarsest level to the finest, see
            :func:`mmseg_heritage.hierarchy.read_levels`. Default: Clean/Damage and four groups.
        mode: How the levels inform each other, see :class:`HierarchyScores`: 'independent',
            'marginal' or 'conditional'.
        level_weights: Weight of each level's loss, with "fine" for the classes, from 0 upwards.
            Default: 0.2 for "binary", 0.3 for "coarse", 1 for "fine".
        level_losses: Level name -> ``loss_decode`` of that level. A level that is not named here
            takes that of the classes, without its ``class_weight`` and a list of ``alpha``.
        consistency_weight: Weight of the divergence between levels, for the mode 'independent'.
        classes: The classes, for data sets other than ARTeFACT: names, or entries as in
            classes.json, whose groups are the level "coarse".
        loss_decode: Loss, or list of losses, of the classes.
        **kwargs: See :class:`mmseg.models.decode_heads.UPerHead`.

    Raises:
        InputError: With all that is wrong with the tree, the mode and the weights.
    """

    def __init__(
        self,
        levels: Mapping[str, str | Groups] | None = None,
        mode: str = "marginal",
        level_weights: Mapping[str, float] | None = None,
        level_losses: Mapping[str, LossConfig] | None = None,
        consistency_weight: float = 0.0,
        classes: Sequence[str | Mapping[str, Any]] | None = None,
        loss_decode: LossConfig | None = None,
        **kwargs: Any,
    ) -> None:
        loss_decode = loss_decode or {"type": "ClassWeightedDiceLoss"}
        super().__init__(loss_decode=loss_decode, **kwargs)
        class_list = _class_list(classes)
        if levels is None:
            levels = {name: name for name in ("binary", "coarse") if name in class_list.groupings}
        self.levels = read_levels(levels, class_list)
        names = (*self.levels, FINE_LEVEL)
        problems = []
        number = len(class_list.names)
        if number != self.num_classes:
            problems.append(f"num_classes={self.num_classes}, but {number} classes; see 'classes'")
        if mode not in MODES:
            problems.append(f"mode={mode!r}, expected one of {', '.join(MODES)}")
        if consistency_weight and mode != "independent":
            problems.append(
                f"consistency_weight={consistency_weight} is for mode='independent': the levels of "
                f"'{mode}' agree by construction"
            )
        if not is_factor(consistency_weight):
            problems.append(f"consistency_weight={consistency_weight!r}, expected {FACTOR}")
        problems += [
            f"level_losses names '{name}', expected some of {', '.join(names)}"
            for name in level_losses or {}
            if name not in names
        ]
        problems += [
            f"a level cannot be named '{name}', which has a meaning in torch.nn.ModuleDict"
            for name in self.levels
            if hasattr(nn.ModuleDict, name)
        ]
        if self.ignore_index is None or not number <= self.ignore_index <= IGNORE_INDEX:
            problems.append(f"ignore_index={self.ignore_index}, expected {IGNORE_INDEX}")
        if problems:
            raise InputError("HierarchicalUPerHead cannot be built", problems)
        self.mode = mode
        self.consistency_weight = consistency_weight
        self.scores = HierarchyScores(self.levels, self.num_classes, mode)
        self.out_channels = self.scores.num_scores
        own = {} if mode == "marginal" else self.levels
        self.level_classifiers = nn.ModuleDict(
            {name: nn.Conv2d(self.channels, len(own[name].classes), 1) for name in own}
        )
        self.level_losses = nn.ModuleDict(
            {
                name: _losses((level_losses or {}).get(name, _unweighted(loss_decode)))
                for name in self.levels
            }
        )
        self.level_losses[FINE_LEVEL] = _losses((level_losses or {}).get(FINE_LEVEL, loss_decode))
        self._refuse_empty_lovasz()
        self.loss_decode = self.level_losses[FINE_LEVEL]  # where OHEM samplers look
        self.level_weights: dict[str, float] = {}
        default = {"binary": 0.2, "coarse": 0.3, FINE_LEVEL: 1.0}
        self.set_level_weights(level_weights or {name: default.get(name, 0.3) for name in names})

    def _refuse_empty_lovasz(self) -> None:
        """Refuses a loss that is NaN for a batch of photographs without damage."""
        partial = [n for n, level in self.levels.items() if IGNORE_INDEX in level.fine_to_group]
        problems = [
            f"level '{name}': LovaszLoss is NaN for a batch in which no pixel has a group; give "
            "level_losses another one for it"
            for name in partial
            if any(isinstance(loss, LovaszLoss) for loss in self.level_losses[name])
        ]
        if problems:
            raise InputError("HierarchicalUPerHead cannot be built", problems)

    def init_weights(self) -> None:
        """Initializes the classifiers of the levels like that of the classes."""
        super().init_weights()
        for classifier in self.level_classifiers.values():
            normal_init(classifier, std=0.01)

    def set_level_weights(self, weights: Mapping[str, float], freeze_idle: bool = False) -> None:
        """Sets the weight of each level's loss, also between two iterations.

        Args:
            weights: Level name -> weight from 0 upwards, for every level and "fine".
            freeze_idle: Takes the gradients off classifiers that no level of positive weight needs,
                so that weight decay and momentum leave them alone too.

        Raises:
            InputError: If a level is missing or unknown, or a weight is negative or not finite.
        """
        problems = self.wrong_level_weights(weights)
        if problems:
            names = ", ".join((*self.levels, FINE_LEVEL))
            raise InputError(f"level_weights must weigh {names}", problems)
        self.level_weights = dict(weights)
        needed = self._needed()
        for name in (*self.level_classifiers, FINE_LEVEL):
            self._classifier(name).requires_grad_(name in needed or not freeze_idle)

    def wrong_level_weights(self, weights: Mapping[str, float]) -> list[str]:
        """Lists what :meth:`set_level_weights` would refuse."""
        expected = {*self.levels, FINE_LEVEL}
        problems = [f"'{name}' has no weight" for name in sorted(expected - weights.keys())]
        problems += [f"'{name}' is no level" for name in weights if name not in expected]
        problems += [
            f"{name}: {weight!r}, expected {FACTOR}"
            for name, weight in weights.items()
            if not is_factor(weight)
        ]
        if not problems and not any(weights.values()):
            problems.append("all weights are 0")
        return problems

    def _classifier(self, level: str) -> nn.Conv2d:
        """Returns the classifier of a level."""
        found: nn.Conv2d = self.conv_seg if level == FINE_LEVEL else self.level_classifiers[level]
        return found

    def _needed(self) -> set[str]:
        """Returns the classifiers that the levels of positive weight depend on."""
        active = {name for name, weight in self.level_weights.items() if weight > 0}
        if self.mode == "marginal":
            return {FINE_LEVEL}
        if self.mode == "conditional":  # a level depends on its own classifier and coarser ones
            order = [*self.levels, FINE_LEVEL]
            return set(order[: 1 + max(order.index(name) for name in active)])
        return active | ({*self.levels, FINE_LEVEL} if self.consistency_weight else set())

    def _is_idle(self, level: str) -> bool:
        """Whether a level's loss need not be computed.

        A level of weight 0 whose classifier still has gradients is computed all the same, for
        DistributedDataParallel waits for them.
        """
        own = FINE_LEVEL if self.mode == "marginal" else level
        frozen = not self._classifier(own).weight.requires_grad
        return self.level_weights[level] == 0 and (frozen or own in self._needed())

    def forward(self, inputs: Sequence[Tensor]) -> Tensor:
        """Returns the raw scores at the stride of the finest feature map.

        Args:
            inputs: Feature maps (N, C_i, H_i, W_i), as ``in_channels`` and ``in_index`` say.

        Returns:
            (N, K, H_0, W_0), in the order of :class:`HierarchyScores`.
        """
        features = self._forward_feature(inputs)
        if self.dropout is not None:
            features = self.dropout(features)
        classifiers = [self.conv_seg, *self.level_classifiers.values()]
        return torch.cat([classifier(features) for classifier in classifiers], dim=1)

    def loss_by_feat(self, seg_logits: Tensor, batch_data_samples: list[Any]) -> dict[str, Tensor]:
        """Computes the weighted loss of every level.

        Args:
            seg_logits: Raw scores, from :meth:`forward`.
            batch_data_samples: Samples with ``gt_sem_seg``, ids 0..C-1 or 255.

        Returns:
            ``<loss name>_<level>`` -> loss times the level's weight, and ``loss_consistency``
            where it has a weight.
        """
        label = self._stack_batch_gt(batch_data_samples)
        scores = resize(
            input=seg_logits,
            size=label.shape[2:],
            mode="bilinear",
            align_corners=self.align_corners,
        )
        logits = self.scores.logits(scores)
        pixel_weight = (
            None if self.sampler is None else self.sampler.sample(logits[FINE_LEVEL], label)
        )
        label = label.squeeze(1)
        losses: dict[str, Tensor] = {}
        for level, level_logits in logits.items():
            if self._is_idle(level):
                continue
            level_label = self.scores.labels(label, level)
            for loss in self.level_losses[level]:
                key = f"{loss.loss_name}_{level}"
                losses[key] = losses.get(key, 0.0) + self.level_weights[level] * loss(
                    level_logits, level_label, weight=pixel_weight, ignore_index=self.ignore_index
                )
        if self.consistency_weight:
            divergence = self.scores.consistency(scores, label)
            losses["loss_consistency"] = self.consistency_weight * divergence
        return losses


def _class_list(entries: Sequence[str | Mapping[str, Any]] | None) -> ClassList:
    """Returns the classes that a config lists."""
    if entries is None:
        return ARTEFACT
    classes, problems = parse_classes(entries)
    if problems:
        raise InputError("HierarchicalUPerHead cannot be built", problems)
    # Of names alone, ARTeFACT's bring their groups.
    only_names = all(isinstance(entry, str) for entry in entries)
    return named_classes(classes.names) if only_names else classes


def _losses(config: LossConfig) -> nn.ModuleList:
    """Builds the losses of a level."""
    return nn.ModuleList([MODELS.build(dict(entry)) for entry in _entries(config)])


def _entries(config: LossConfig) -> Sequence[Mapping[str, Any]]:
    """Returns one loss or several as several."""
    return [config] if isinstance(config, Mapping) else config


def _unweighted(config: LossConfig) -> LossConfig:
    """Returns a loss config without what is for each class, of which there is another number."""
    return [
        {
            key: value
            for key, value in entry.items()
            if key != "class_weight" and not (key == "alpha" and isinstance(value, Sequence))
        }
        for entry in _entries(config)
    ]
