"""Learning from corrected photographs: a short training from a checkpoint, and what it gains."""

from __future__ import annotations

import contextlib
import copy
import gc
import io
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from mmengine.config import Config
from mmengine.registry import init_default_scope
from numpy.typing import NDArray

import mmseg_heritage.plugin  # noqa: F401  registers everything
from mmseg_heritage.apis.refining.new_checkpoint import check_new_file, new_content, save_checkpoint
from mmseg_heritage.apis.training import train
from mmseg_heritage.dataprep.data_folder import data_folder
from mmseg_heritage.dataprep.layout import Sample
from mmseg_heritage.dataprep.splits.groups import split_units
from mmseg_heritage.dataprep.splits.split import SPLIT_FILE, Split, load_split
from mmseg_heritage.datasets import ARTeFACTDataset
from mmseg_heritage.errors import InputError
from mmseg_heritage.evaluation.counts.confusion import confusion_counts
from mmseg_heritage.evaluation.learning_scores import learning_scores
from mmseg_heritage.inference.training_features import KEY
from mmseg_heritage.runs.build import config_errors
from mmseg_heritage.runs.config.checkpoint_config import config_of_checkpoint
from mmseg_heritage.runs.config.variables import innermost_datasets
from mmseg_heritage.runs.learning_config import Recipe, learning_config
from mmseg_heritage.runs.load_predictor import load_predictor
from mmseg_heritage.runs.origin import check_same_classes
from mmseg_heritage.runs.prepare import check_data
from mmseg_heritage.runs.resume import latest_checkpoint
from mmseg_heritage.runs.trained_run import TrainedRun, read_trained_run, refuse_code
from mmseg_heritage.utils.checkpoints.checkpoint import (
    checkpoint_reading,
    load_checkpoint_file,
    weights_of,
)
from mmseg_heritage.utils.files import (
    output_folder,
    sha256,
    staging_folder,
    write_json,
    writing_together,
)
from mmseg_heritage.version import __version__

SCHEMA = "mmseg_heritage/learning/1"
CHECKPOINT_FILE, REPORT_FILE = "learned.pth", "learned.json"
AUTO, NONE = "auto", "none"
_FOLDS = 5  # of more images than these; of fewer each is left out once
_LISTED = "learned_from"  # in a checkpoint: what it and those before it have learned from


@dataclass(frozen=True)
class Learned:
    """What :func:`learn` has written.

    Attributes:
        checkpoint: The new checkpoint.
        report: JSON file with the scores, the images and the recipe.
        content: Content of the JSON file.
    """

    checkpoint: Path
    report: Path
    content: Mapping[str, Any]


def learn(
    checkpoint: str | Path,
    corrected: str | Path,
    out_dir: str | Path,
    replay: str | Path | None = None,
    estimate: str | int = AUTO,
    recipe: Recipe | None = None,
    device: str | None = None,
    overwrite: bool = False,
    trust_checkpoint: bool = False,
    verbose: bool = False,
) -> Learned:
    """Trains a checkpoint a little further on all corrected images, and writes a new one.

    What it gains is estimated by cross-validation: the images are divided into folds, a model that
    learned from the others predicts each, and so does the checkpoint as it was. The new checkpoint
    has learned from all of them.

    Args:
        checkpoint: Checkpoint file of a :class:`HeritageEncoderDecoder`.
        corrected: Folder with ``images`` and ``annotations``; 255 is what nobody looked at.
        out_dir: Where to write ``learned.pth``, ``learned.json`` and ``split.json``.
        replay: Folder of the data that the checkpoint was trained on, of which as many images are
            learned from as of the corrected ones.
        estimate: Number of folds; 'auto' leaves each of up to 5 images out once and makes 5 folds
            of more; 'none' estimates nothing. Photographs of one source object are in one fold.
        recipe: How to learn; None for the defaults.
        device: For the predictions of the estimate.
        overwrite: Allows replacing the files of an earlier call.
        trust_checkpoint: Lets the checkpoint run code.
        verbose: Shows the trainings.

    Raises:
        InputError: If the checkpoint or the images cannot be used, or files are already there.
    """
    old, out = Path(checkpoint).expanduser(), output_folder(out_dir)
    root = Path(corrected).expanduser().resolve()
    recipe = recipe or Recipe()
    if problems := recipe.problems():
        raise InputError("nothing can be learned like that", problems)
    files = [out / name for name in (CHECKPOINT_FILE, REPORT_FILE, SPLIT_FILE)]
    check_new_file(old, files, overwrite)
    with checkpoint_reading(trust_checkpoint):
        parent = config_of_checkpoint(load_checkpoint_file(old), old)
        if not trust_checkpoint:
            refuse_code(parent, old)
    source = _Source(old, parent, root, recipe, replay, trust_checkpoint, verbose)
    folds = _folds(source.units(), estimate)
    out.mkdir(parents=True, exist_ok=True)
    with staging_folder(out / "learning") as place:
        dataset = source.dataset(place / "corrected.json")
        scores = _estimate(source, dataset, folds, place, device) if folds else None
        print(f"learning from all {len(source.samples)} images, {recipe.steps} steps")
        trained = source.train([s.id for s in source.samples], place / "all")
        content = _report(source, scores, len(folds))
        with writing_together(out, files):
            _save(source, trained, files[0], content)
            write_json(files[2], _split(source).to_json())
            write_json(files[1], content)
    return Learned(files[0], files[1], content)


class _Source:
    """A checkpoint and the images that it is to learn from.

    Args:
        checkpoint: Checkpoint file.
        parent: Config inside it.
        root: Folder of the corrected images.
        recipe: How to learn.
        replay: See :func:`learn`.
        trust_checkpoint: Lets the checkpoint run code.
        verbose: Shows the trainings.
    """

    def __init__(
        self,
        checkpoint: Path,
        parent: Config,
        root: Path,
        recipe: Recipe,
        replay: str | Path | None,
        trust_checkpoint: bool,
        verbose: bool,
    ) -> None:
        self.checkpoint, self.parent, self.root, self.recipe = checkpoint, parent, root, recipe
        self.replay = None if replay is None else Path(replay).expanduser().resolve()
        self.trust, self._verbose = trust_checkpoint, verbose
        self.run = read_trained_run(checkpoint, trust_checkpoint=trust_checkpoint)
        options = innermost_datasets(parent, "test_dataloader") or innermost_datasets(
            parent, "train_dataloader"
        )
        if not options or options[0].get("type") != "ARTeFACTDataset":
            raise InputError(f"{checkpoint}: was not trained on an ARTeFACTDataset")
        self._options = {
            key: options[0][key]
            for key in ("level", "with_background", "metainfo", "pipeline")
            if options[0].get(key) is not None
        }
        self.samples: list[Sample] = list(data_folder(root).samples)

    def dataset(self, manifest: Path) -> ARTeFACTDataset:
        """Returns the corrected images with the labels that the model knows, all of them checked.

        Args:
            manifest: Where to write that all are for training: without it, the data set would
                divide them into parts, of which there may be too few.

        Raises:
            InputError: If their classes are others than those of the checkpoint, if files are
                damaged, or with all images in which nothing is labeled.
        """
        parts: dict[str, tuple[str, ...]] = {"train": tuple(s.id for s in self.samples)}
        write_json(manifest, Split("corrected", parts).to_json())
        init_default_scope("mmseg")
        with config_errors("test_dataloader.dataset"):
            found = ARTeFACTDataset(
                str(self.root), ann_file=str(manifest), test_mode=True, **self._options
            )
        check_same_classes(self.run.dataset_meta, found.metainfo["classes"], self.checkpoint)
        check_data([found])
        names = [found.get_data_info(i)["sample_id"] for i in range(len(found))]
        labeled = found.class_pixels().sum(axis=1)
        if empty := [name for name, pixels in zip(names, labeled, strict=True) if not pixels]:
            raise InputError(
                f"{self.root}: no pixel of these masks is labeled with a class of the checkpoint; "
                "take them out, or correct something in them",
                empty,
            )
        return found

    def units(self) -> list[list[str]]:
        """Returns the ids of the images, those of one source object together."""
        return [[sample.id for sample in unit] for unit in split_units(self.samples)]

    def train(self, ids: Sequence[str], folder: Path) -> Path:
        """Trains on some of the images, and returns the last checkpoint."""
        folder.mkdir(parents=True)
        manifest = folder.with_suffix(".json")
        parts = {"train": tuple(sorted(ids)), "val": (), "test": ()}
        write_json(manifest, Split(f"learn_{folder.name}", parts).to_json())
        repeats = 1 if self.replay is None else max(self._earlier() // len(ids), 1)
        cfg = learning_config(
            self.parent, self.checkpoint, self.root, manifest, self.recipe, self.replay, repeats
        )
        config = folder.with_suffix(".py")
        cfg.dump(str(config))
        with _silent(not self._verbose):
            train(config, str(folder), trust_checkpoint=self.trust, verbose=self._verbose)
        gc.collect()  # a Runner refers to itself, and its model would stay on the GPU
        found = latest_checkpoint(folder)
        if found is None:
            raise InputError(f"{folder}: the training has written no checkpoint")
        return found

    def learned(self, trained: Path) -> TrainedRun:
        """Returns the run of the checkpoint with the weights of one that :meth:`train` returned."""
        cfg = copy.deepcopy(self.run.cfg)
        _change(cfg, self.recipe)
        with checkpoint_reading(self.trust):
            weights = weights_of(load_checkpoint_file(trained), trained)
        return replace(self.run, cfg=cfg, weights=weights, training_features=None)

    def _earlier(self) -> int:
        """Returns the number of images that the checkpoint was trained on, in ``replay``."""
        (options, *_) = innermost_datasets(self.parent, "train_dataloader")
        with config_errors("train_dataloader.dataset"):
            options = {**options, "data_root": str(self.replay), "cache": "none", "pipeline": []}
            options.pop("type")
            return len(ARTeFACTDataset(**options))


def _folds(units: Sequence[Sequence[str]], estimate: str | int) -> list[list[str]]:
    """Divides images into folds; none where nothing is to be estimated, or cannot be."""
    if estimate == NONE:
        return []
    wanted = min(_FOLDS, len(units))
    if estimate != AUTO:
        wanted = int(estimate) if str(estimate).isdecimal() else 0
    if estimate != AUTO and not 2 <= wanted <= len(units):
        raise InputError(
            f"--estimate {estimate}: expected auto, none, or a number of folds from 2 to "
            f"{len(units)}, the number of source objects"
        )
    if len(units) < 2:
        print("nothing to estimate from: there is one source object only")
        return []
    folds: list[list[str]] = [[] for _ in range(wanted)]
    for number, unit in enumerate(units):
        folds[number % wanted].extend(unit)
    return folds


def _estimate(
    source: _Source,
    dataset: ARTeFACTDataset,
    folds: Sequence[Sequence[str]],
    place: Path,
    device: str | None,
) -> dict[str, Any]:
    """Predicts each image by a model that has not learned from it, and by the one before."""
    before: dict[str, NDArray[np.int64]] = {}
    after: dict[str, NDArray[np.int64]] = {}
    labels = dict(_labels(dataset))
    parent = load_predictor(source.run, device)
    every = [sample.id for sample in source.samples]
    for number, fold in enumerate(folds, start=1):
        print(f"estimate {number} of {len(folds)}: learning from {len(every) - len(fold)} images")
        others = [name for name in every if name not in set(fold)]
        trained = source.train(others, place / f"fold_{number}")
        learned = load_predictor(source.learned(trained), device)
        for sample in (s for s in source.samples if s.id in set(fold)):
            for found, predictor in ((before, parent), (after, learned)):
                predicted = predictor(sample.image).class_map
                number_of_classes = len(predictor.classes)
                found[sample.id] = confusion_counts(labels[sample.id], predicted, number_of_classes)
        trained.unlink()
    return learning_scores(before, after, parent.classes, dataset.metainfo.get("levels"))


def _labels(dataset: ARTeFACTDataset) -> Iterator[tuple[str, NDArray[np.uint8]]]:
    """Yields the id of each image and its labels as the model knows them, uint8 (H, W)."""
    for number in range(len(dataset)):
        label = dataset[number]["data_samples"].gt_sem_seg.data[0]
        yield dataset.get_data_info(number)["sample_id"], label.numpy().astype(np.uint8)


def _change(cfg: Config, recipe: Recipe) -> None:
    """Makes the config of the checkpoint that of its learned weights."""
    cfg.model.pop("calibration", None)  # of the old weights
    if recipe.tune == "adapters":  # which are weights of their own
        cfg.model.tune = recipe.tune


def _report(source: _Source, scores: Mapping[str, Any] | None, folds: int) -> dict[str, Any]:
    return {
        "schema": SCHEMA,
        "version": __version__,
        "date": datetime.now().astimezone().isoformat(timespec="seconds"),
        "parent": source.checkpoint.name,
        "parent_sha256": sha256(source.checkpoint),
        "recipe": asdict(source.recipe),
        "replay": source.replay is not None,
        "images": [
            {"id": s.id, "image_sha256": sha256(s.image), "mask_sha256": sha256(s.annotation)}
            for s in source.samples
        ],
        "folds": folds,
        "scores": scores,
    }


def _save(source: _Source, trained: Path, path: Path, content: Mapping[str, Any]) -> None:
    """Writes the new checkpoint: the old one with new weights, and with what it learned from."""
    made = new_content(source.checkpoint, source.trust, partial(_change, recipe=source.recipe))
    with checkpoint_reading(source.trust):
        made["state_dict"] = weights_of(load_checkpoint_file(trained), trained)
    for name in (KEY, "calibration_report", "message_hub", "ema_state_dict"):
        made.pop(name, None)
    earlier = made.get(_LISTED)
    made[_LISTED] = [*(earlier if isinstance(earlier, list) else []), dict(content)]
    save_checkpoint(made, path)


def _split(source: _Source) -> Split:
    """Returns what the new checkpoint has seen: that of the old one, and the corrected images."""
    new = {sample.id for sample in source.samples}
    record = source.checkpoint.parent / SPLIT_FILE
    old = load_split(record) if record.is_file() else Split("learned", {})
    parts = {name: tuple(i for i in ids if i not in new) for name, ids in old.parts.items()}
    parts["train"] = tuple(sorted({*parts.get("train", ()), *new}))
    return Split(f"{old.name}, learned", parts, old.details)


@contextlib.contextmanager
def _silent(quiet: bool) -> Iterator[None]:
    """Keeps what a training prints from the console; errors come through."""
    if not quiet:
        yield
        return
    with contextlib.redirect_stdout(io.StringIO()):
        yield


def worse(scores: Mapping[str, Any]) -> list[str]:
    """Names the scores that became lower by learning, by more than half a percent."""
    return [
        name
        for name, found in scores["scores"].items()
        if not any(v is None or math.isnan(v) for v in (found["before"], found["after"]))
        and found["after"] < found["before"] - 0.5
    ]
