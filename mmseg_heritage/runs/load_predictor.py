"""A predictor from nothing but a checkpoint."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from mmseg.registry import TRANSFORMS

from mmseg_heritage.datasets import ARTeFACTDataset
from mmseg_heritage.engine.launch import without_sync_bn
from mmseg_heritage.errors import InputError
from mmseg_heritage.inference.predictor import BasePredictor, find_device
from mmseg_heritage.runs.build import build_model, config_errors
from mmseg_heritage.runs.config.variables import innermost_datasets
from mmseg_heritage.runs.trained_run import TrainedRun, read_trained_run
from mmseg_heritage.utils.checkpoints.checkpoint import check_weights_fit


class Predictor(BasePredictor):
    """A trained model that turns photographs into maps of damage.

    It needs the checkpoint and nothing else: neither config, data, split nor files of weights. See
    :meth:`BasePredictor.__call__` for the photographs it takes, and
    :class:`mmseg_heritage.inference.prediction.Prediction` for what it returns::

        predictor = Predictor("epoch_50.pth")
        prediction = predictor("photo.jpg")

    Args:
        checkpoint: Checkpoint file.
        config: Config file to use in place of the one inside the checkpoint.
        device: 'cuda', 'cuda:1', 'cpu', or None for a GPU where there is one.
        cfg_options: Dotted key -> value, such as ``{'inference.scales': ['fit:2048']}``.
        trust_checkpoint: Lets the checkpoint run code.

    Attributes:
        validation: See :attr:`mmseg_heritage.runs.trained_run.TrainedRun.validation`.

    Raises:
        InputError: If the checkpoint cannot be used, see
            :func:`mmseg_heritage.runs.trained_run.read_trained_run`, or there is no such device.
    """

    def __init__(
        self,
        checkpoint: str | Path,
        config: str | Path | None = None,
        device: str | None = None,
        cfg_options: Mapping[str, Any] | None = None,
        trust_checkpoint: bool = False,
    ) -> None:
        find_device(device)  # before a large file is read
        run = read_trained_run(checkpoint, config, cfg_options, trust_checkpoint)
        super().__init__(*_parts(run, device))
        self.validation = run.validation


def load_predictor(run: TrainedRun, device: str | None = None) -> BasePredictor:
    """Returns the predictor of a checkpoint that was read before, see :class:`Predictor`."""
    return BasePredictor(*_parts(run, device))


def _parts(
    run: TrainedRun, device: str | None
) -> tuple[torch.nn.Module, list[Any], Sequence[str], Sequence[Sequence[int]], Any, Any, Any]:
    """Builds what a :class:`BasePredictor` is made of."""
    # One process, one image: SyncBN has nothing to synchronize and refuses to run on a CPU.
    cfg = Config({**run.cfg.to_dict(), "model": without_sync_bn(run.cfg.model)})
    model = build_model(cfg)
    check_weights_fit(model, run.weights, run.checkpoint)
    model.load_state_dict(run.weights)
    meta = run.dataset_meta or ARTeFACTDataset.METAINFO
    classes, palette = meta["classes"], meta["palette"]
    if len(classes) != model.num_classes:
        raise InputError(
            f"{run.checkpoint}: the checkpoint knows {len(classes)} classes, the config's head "
            f"{model.num_classes}"
        )
    with config_errors("test_dataloader.dataset.pipeline"):
        (dataset, *_) = innermost_datasets(cfg, "test_dataloader")
        steps = [TRANSFORMS.build(step) for step in dataset["pipeline"]]
    model = model.to(find_device(device)).eval()
    return (
        model, steps, classes, palette, meta.get("mask_values"), meta.get("kinds"),
        run.training_features,
    )  # fmt: skip
