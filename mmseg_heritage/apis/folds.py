"""Training and testing the folds of one family of splits, and collecting their scores."""

from __future__ import annotations

import gc
import json
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from mmengine.config import Config
from mmengine.dist import barrier

from mmseg_heritage.apis.testing import test
from mmseg_heritage.apis.training import AUTO, train
from mmseg_heritage.dataprep.splits.split import SPLIT_FILE, load_split
from mmseg_heritage.engine.launch import prepare_distributed
from mmseg_heritage.errors import InputError
from mmseg_heritage.evaluation.means import pooled_means
from mmseg_heritage.evaluation.store import Counts, load_counts
from mmseg_heritage.evaluation.summary import COUNTS_FILE, METRICS_FILE, load_metrics, plain
from mmseg_heritage.evaluation.tested_runs import EVALUATION_FOLDER, FOLDS_FILE
from mmseg_heritage.runs.config.config_files import load_config
from mmseg_heritage.runs.config.iterations import as_list
from mmseg_heritage.runs.config.variables import innermost_datasets
from mmseg_heritage.runs.prepare import prepare, work_dir_of
from mmseg_heritage.runs.resume import best_checkpoint
from mmseg_heritage.taxonomy import FINE_LEVEL
from mmseg_heritage.utils.distributed import is_main_process
from mmseg_heritage.utils.files import is_unfinished, write_json
from mmseg_heritage.utils.tables import plain_table

SCHEMA = "mmseg_heritage/folds/1"
ALL = "all"
_PLACEHOLDER = "{fold}"
_PARTS = ("train", "val", "test")
_COLUMNS = ("mIoU", "mF1", "aAcc", "damage_IoU", "binary_mIoU", "coarse_mIoU", "image_mIoU")
_DEFINITIONS = {
    "unit": "percent",
    "mean": "over the folds that have the score; n is their number",
    "std": "standard deviation of a sample of n folds (divided by n - 1)",
    "pooled": "scores from the pixels of all tested folds together",
}


def run_folds(
    config: str | Path,
    fold: str = ALL,
    work_dir: str | None = None,
    resume: str | None = None,
    cfg_options: Mapping[str, Any] | None = None,
    overwrite: bool = False,
    skip_data_check: bool = False,
    amp: bool = False,
    launcher: str = "none",
    trust_checkpoint: bool = False,
    verbose: bool = False,
) -> Path:
    """Trains on folds, tests the best checkpoint of each, and collects the scores.

    The config's ``split_file`` names the folder of the folds. Fold f of family s runs in
    ``<work_dir>/<s>/<f>``; ``<work_dir>/<s>/folds.json`` collects all folds of the family that are
    tested, also those that other jobs ran.

    Args:
        config: Config file.
        fold: 'all', the name of a fold, or its number, from 1 in the order of the names.
        work_dir: Folder of all runs; ``work_dirs/<config name>`` if None.
        resume: 'auto' leaves out folds that are tested, and goes on with those that are not.
        cfg_options: Dotted key -> value; ``{fold}`` in a value stands for the name of the fold.
        overwrite: Allows new runs in folders that hold some.
        skip_data_check: See :func:`mmseg_heritage.apis.training.train`.
        amp: See :func:`mmseg_heritage.apis.training.train`.
        launcher: See :func:`mmseg_heritage.apis.training.train`.
        trust_checkpoint: See :func:`mmseg_heritage.apis.training.train`.
        verbose: See :func:`mmseg_heritage.apis.training.train`.

    Returns:
        ``folds.json``.

    Raises:
        InputError: If there are no such folds, if folders hold runs of other splits or runs that
            nobody asked to replace, or for what :func:`mmseg_heritage.apis.training.train` refuses.
    """
    options = dict(cfg_options or {})
    # What differs from fold to fold is loaded with each.
    common = {key: value for key, value in options.items() if _PLACEHOLDER not in str(value)}
    cfg = load_config(config, common)
    family = _family(cfg, config)
    names = sorted(path.stem for path in family.glob("[!.]*.json"))
    chosen = _chosen(names, fold, family)
    base = work_dir_of(cfg, config, work_dir) / family.name
    digests = {name: load_split(family / f"{name}.json").digest() for name in names}
    _check_output(base, {name: digests[name] for name in chosen}, resume, overwrite)
    options_of = {name: _options_of(name, options, cfg, config) for name in chosen}
    for name in chosen:
        _check(config, options_of[name], launcher)
    shared: dict[str, Any] = {
        "launcher": launcher,
        "skip_data_check": skip_data_check,
        "trust_checkpoint": trust_checkpoint,
        "overwrite": overwrite,
        "verbose": verbose,
    }
    for name in chosen:
        folder, of_fold = base / name, options_of[name]
        if resume and _is_tested(folder):
            continue
        train(config, str(folder), resume=resume, amp=amp, cfg_options=of_fold, **shared)
        barrier()  # the main process may still be writing the checkpoint
        tested = {**of_fold, "experiment_name": f"{of_fold['experiment_name']}_test"}
        # What is there now is left from a test that did not come to its end.
        unguarded = {**shared, "overwrite": True}
        test(best_checkpoint(folder), config, str(folder), cfg_options=tested, **unguarded)
        gc.collect()  # a Runner refers to itself, and its model would stay on the GPU
    results = base / FOLDS_FILE
    if is_main_process():
        write_json(results, collect(base, digests, str(config)))
    barrier()
    return results


def collect(base: Path, digests: Mapping[str, str], config: str) -> dict[str, Any]:
    """Gathers the scores of the folds that are tested.

    Args:
        base: Folder of the runs.
        digests: Name of each fold of the family -> hash of its split.
        config: Config file, as it was named.

    Returns:
        The content of ``folds.json``.
    """
    folds: dict[str, dict[str, Any]] = {}
    tested: list[Counts] = []
    for name, digest in digests.items():
        if not _is_tested(base / name) or _digest_of_run(base / name) != digest:
            continue
        scores = load_metrics(_metrics(base / name))
        per_class = scores["levels"][FINE_LEVEL]["per_class"]
        folds[name] = {
            "images": scores["images"],
            "split_sha256": digest,
            "checkpoint_sha256": scores["run"]["checkpoint_sha256"],
            "seed": scores["run"]["seed"],
            "overall": scores["overall"],
            "per_class_iou": {c: row["iou"] for c, row in per_class.items()},
        }
        tested.append(load_counts(_metrics(base / name).with_name(COUNTS_FILE)))
    return {
        "schema": SCHEMA,
        "family": base.name,
        "config": config,
        "definitions": _DEFINITIONS,
        "folds": folds,
        "not_tested": [name for name in digests if name not in folds],
        **{
            key: _spread([fold[key] for fold in folds.values()])
            for key in ("overall", "per_class_iou")
        },
        "pooled": plain(_pooled(tested)) if tested else {},
    }


def _pooled(tested: Sequence[Counts]) -> dict[str, np.ndarray]:
    """Returns the means over classes of the pixels of all folds together."""
    confusion = sum(counts.confusion.sum(axis=0) for counts in tested)
    return pooled_means(confusion, tested[0].classes, tested[0].levels)


def fold_table(results: str | Path) -> str:
    """Lays out ``folds.json``: a line for each fold, mean and spread, and all pooled."""
    content = json.loads(Path(results).read_text(encoding="utf-8"))
    keys = [key for key in content["overall"] if key in _COLUMNS or key.endswith("_head_mIoU")]
    rows = [
        [name, fold["images"], *(_cell(fold["overall"][key]) for key in keys)]
        for name, fold in content["folds"].items()
    ]
    for row in ("mean", "std"):
        rows.append([row, "", *(_cell(content["overall"][key][row]) for key in keys)])
    rows.append(["pooled", "", *(_cell(content["pooled"].get(key)) for key in keys)])
    lines = [plain_table(["fold", "images", *keys], rows)]
    if content["not_tested"]:
        lines.append(f"not tested: {', '.join(content['not_tested'])}")
    return "\n".join(lines)


def _cell(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"


def _spread(rows: Sequence[Mapping[str, float | None]]) -> dict[str, dict[str, Any]]:
    """Returns mean, standard deviation and number of each score over folds."""
    spread = {}
    for key in rows[0] if rows else ():
        values = [value for row in rows if (value := row[key]) is not None]
        spread[key] = {
            "mean": statistics.fmean(values) if values else None,
            "std": statistics.stdev(values) if len(values) > 1 else None,
            "n": len(values),
        }
    return spread


def _family(cfg: Config, config: str | Path) -> Path:
    """Returns the folder of the folds that the config names."""
    data_root, split_file = _data_of(cfg)
    if not split_file or not data_root:
        raise InputError(
            f"{config}: --fold needs data_root and split_file, the folder of the folds below it: "
            "--cfg-options split_file=splits/kfold-5"
        )
    if not any(e.get("type") == "ConfusionMetric" for e in as_list(cfg.get("test_evaluator"))):
        raise InputError(f"{config}: --fold collects what ConfusionMetric writes; test with it")
    family = Path(data_root) / split_file
    if not family.is_dir() or not any(family.glob("[!.]*.json")):
        raise InputError(
            f"{family}: expected a folder of split manifests for --fold; make them with "
            "make_splits.py, and name the folder with --cfg-options split_file=..."
        )
    return family.resolve()


def _data_of(cfg: Config) -> tuple[str, str]:
    """Returns the data root and the split file, or folder of them, that a config trains on."""
    [dataset, *_] = [*innermost_datasets(cfg, "train_dataloader"), {}]
    return dataset.get("data_root") or "", dataset.get("ann_file") or ""


def _chosen(names: Sequence[str], fold: str, family: Path) -> list[str]:
    """Returns the folds that were asked for."""
    if fold == ALL:
        return list(names)
    if fold in names:
        return [fold]
    if fold.isdecimal() and 1 <= int(fold) <= len(names):
        return [names[int(fold) - 1]]
    raise InputError(
        f"{family}: there is no fold '{fold}'; choose all, 1 to {len(names)}, or one of: "
        f"{', '.join(names)}"
    )


def _check_output(
    base: Path, digests: Mapping[str, str], resume: str | None, overwrite: bool
) -> None:
    """Refuses to mix runs of different splits, and to replace runs unasked, before the first."""
    if resume not in (None, AUTO):
        raise InputError(f"--fold goes on with every fold by itself: --resume without '{resume}'")
    problems = []
    for name, digest in digests.items():
        found = _digest_of_run(base / name)
        if found is None or (overwrite and not resume):
            continue
        if not resume:
            problems.append(f"{base / name}: holds a run")
        elif found != digest:
            problems.append(f"{base / name}: holds a run of another split than {name} is now")
    if problems:
        raise InputError(
            "folds were run here already. Go on with --resume, choose another --work-dir, or "
            "replace them with --overwrite",
            problems,
        )


def _digest_of_run(folder: Path) -> str | None:
    """Returns the hash of the split that a run was trained on; None where there is no run."""
    record = folder / SPLIT_FILE
    return load_split(record).digest() if record.is_file() else None


def _metrics(folder: Path) -> Path:
    """Returns where the scores of a fold are, once it is tested."""
    return folder / EVALUATION_FOLDER / METRICS_FILE


def _is_tested(folder: Path) -> bool:
    """Whether the test of a fold came to its end, where it says what was tested."""
    if not _metrics(folder).is_file() or is_unfinished(folder / EVALUATION_FOLDER):
        return False
    return "run" in load_metrics(_metrics(folder))


def _options_of(
    name: str, options: Mapping[str, Any], cfg: Config, config: str | Path
) -> dict[str, Any]:
    """Returns the options with which a fold is run."""
    filled = {
        key: value.replace(_PLACEHOLDER, name) if isinstance(value, str) else value
        for key, value in options.items()
    }
    filled["split_file"] = f"{_data_of(cfg)[1]}/{name}.json"
    # mmengine keeps logs apart by name and second, and a small fold may take less than one.
    filled["experiment_name"] = f"{cfg.get('experiment_name') or Path(config).stem}_{name}"
    return filled


def _check(config: str | Path, options: Mapping[str, Any], launcher: str) -> None:
    """Refuses before the first fold is trained what would stop a later one."""
    cfg = load_config(config, options)
    cfg.launcher = launcher
    prepare_distributed(cfg)
    prepare(cfg, _PARTS)
