"""Scoring a trained model on the test part of its data set."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmengine.dataset import BaseDataset
from mmengine.logging import MMLogger
from mmseg.registry import MODELS

import mmseg_heritage.plugin  # noqa: F401  registers everything
from mmseg_heritage.apis.adapting import adapted_name, check_adapted, compare_adapted
from mmseg_heritage.apis.visualizing import check_figures
from mmseg_heritage.apis.visualizing import visualize as draw
from mmseg_heritage.dataprep.splits.split import SPLIT_FILE
from mmseg_heritage.datasets import ARTeFACTDataset
from mmseg_heritage.domains import AdaptationSettings
from mmseg_heritage.engine.hooks import InferenceTimeHook
from mmseg_heritage.engine.launch import prepare_distributed, watching_processes
from mmseg_heritage.engine.runners import quiet
from mmseg_heritage.errors import InputError
from mmseg_heritage.evaluation.store import PARTS
from mmseg_heritage.evaluation.summary import METRICS_FILE, load_metrics
from mmseg_heritage.evaluation.tested_runs import EVALUATION_FOLDER, FIGURES_FOLDER
from mmseg_heritage.models.segmentors import HeritageEncoderDecoder
from mmseg_heritage.runs.config.iterations import as_list
from mmseg_heritage.runs.console import test_console
from mmseg_heritage.runs.loader_workers import explaining_lost_workers
from mmseg_heritage.runs.origin import check_same_classes, check_unseen, seen_images
from mmseg_heritage.runs.prepare import (
    build_runner,
    check_data,
    output_folder,
    prepare,
    sole_writer,
)
from mmseg_heritage.runs.provenance import run_stamp
from mmseg_heritage.runs.trained_run import read_trained_run
from mmseg_heritage.utils.checkpoints.checkpoint import check_weights_fit, checkpoint_reading
from mmseg_heritage.utils.distributed import alone, is_main_process
from mmseg_heritage.utils.files import is_unfinished, unfinished, write_json
from mmseg_heritage.visualization.figures.score_figures import write_figures


@watching_processes()
def test(
    checkpoint: str | Path,
    config: str | Path | None = None,
    work_dir: str | None = None,
    show_dir: str | None = None,
    out_dir: str | None = None,
    cfg_options: Mapping[str, Any] | None = None,
    launcher: str = "none",
    overwrite: bool = False,
    skip_data_check: bool = False,
    trust_checkpoint: bool = False,
    visualize: bool = False,
    allow_seen: bool = False,
    verbose: bool = False,
    adapt: Mapping[str, Any] | None = None,
) -> Path:
    """Tests a checkpoint and writes its scores to ``<work_dir>/evaluation``.

    These are ``metrics.json``, ``per_class.csv``, ``per_image.npz``, ``confusion_matrix.png`` and
    ``per_class_iou.png``.

    Args:
        checkpoint: Checkpoint file. Model, data set and split are those of its run.
        config: Config file to use in place of the one inside the checkpoint.
        work_dir: Folder of the run; that of the checkpoint if None.
        show_dir: Where to write a picture of each image: input, ground truth, prediction.
        out_dir: Where to write the predicted class map of each image.
        cfg_options: Dotted key -> value, such as ``{'data_root': FOLDER}`` where the data
            has moved.
        launcher: 'none', 'pytorch', 'slurm' or 'mpi'.
        overwrite: Allows replacing results that are already there.
        skip_data_check: Does not decode all images and masks first.
        trust_checkpoint: Lets the checkpoint run code.
        visualize: Also writes what :func:`mmseg_heritage.apis.visualizing.visualize` draws to
            ``evaluation/figures``.
        allow_seen: Scores images that the run was trained on or chosen by. ``metrics.json`` says
            how many, under ``run.seen_images``.
        verbose: Shows mmengine's log.
        adapt: Settings of a test-time adaptation, see
            :class:`mmseg_heritage.domains.AdaptationSettings`. The test is then made twice: as
            ever, and adapted, into ``<work_dir>/adapted_<method>``, with a comparison of both.

    Returns:
        The file of scores, without adaptation.

    Raises:
        InputError: If the data, the config or the checkpoint cannot be used, if the checkpoint was
            trained as another model, or if its run has seen what would be tested.
    """
    options: dict[str, Any] = {
        "config": config,
        "cfg_options": cfg_options,
        "launcher": launcher,
        "overwrite": overwrite,
        "skip_data_check": skip_data_check,
        "trust_checkpoint": trust_checkpoint,
        "visualize": visualize,
        "allow_seen": allow_seen,
        "verbose": verbose,
    }
    tests: list[tuple[Mapping[str, Any] | None, str]] = [(None, "")]
    folder = Path(work_dir or Path(checkpoint).parent)
    if adapt is not None:
        tests.append((adapt, adapted_name(adapt)))
        for place in filter(None, (show_dir, out_dir)):
            for _, inner in tests:
                is_unfinished(Path(place, inner))  # forgets what counts no longer
        check_adapted(folder, tests[1][1], overwrite)
    results = output_folder(folder) / EVALUATION_FOLDER
    again = is_unfinished(results)
    with contextlib.ExitStack() as marks:  # of folders, until all that belongs together is there
        for adaptation, inner in tests:
            places: dict[str, Any] = {
                key: value and str(Path(value) / inner)
                for key, value in (("show_dir", show_dir), ("out_dir", out_dir))
            }
            if inner and again:  # both tests are finished, or none
                options["overwrite"] = True
            _test(
                checkpoint, marks, work_dir=str(folder / inner), adaptation=adaptation, **places,
                **options,
            )  # fmt: skip
        if adapt is not None and is_main_process():
            compare_adapted(folder, folder / tests[1][1])
    return results / METRICS_FILE


def _test(
    checkpoint: str | Path,
    marks: contextlib.ExitStack,
    config: str | Path | None,
    work_dir: str | None,
    show_dir: str | None,
    out_dir: str | None,
    cfg_options: Mapping[str, Any] | None,
    launcher: str,
    overwrite: bool,
    skip_data_check: bool,
    trust_checkpoint: bool,
    visualize: bool,
    allow_seen: bool,
    verbose: bool,
    adaptation: Mapping[str, Any] | None = None,
) -> None:
    """Tests a checkpoint once, see :func:`test`; ``marks`` takes those of unfinished folders."""
    if not verbose:
        quiet(MMLogger.get_current_instance())
    trained = read_trained_run(checkpoint, config, cfg_options, trust_checkpoint)
    cfg = trained.cfg
    cfg.launcher = launcher
    # Beside the checkpoint: that is the folder of the run it came from.
    results = output_folder(work_dir or Path(checkpoint).parent) / EVALUATION_FOLDER
    # Logs and the config of a test go beside its scores; those of the training are left alone.
    cfg.work_dir = str(results)
    if adaptation is not None:
        cfg.custom_hooks = [*cfg.get("custom_hooks", []), {"type": "AdaptationHook", **adaptation}]
    # Relative folders are the user's, seen from where the command was given.
    outputs = {
        name: output_folder(value)
        for name, value in (("show_dir", show_dir), ("out_dir", out_dir))
        if value
    }
    metrics = results / METRICS_FILE
    prepare_distributed(cfg)
    with sole_writer(results), checkpoint_reading(trust_checkpoint):
        again = overwrite or is_unfinished(results)
        _check_output(results, outputs, overwrite, visualize)
        prepared = prepare(cfg, ("test",))
        dataset, own = prepared.datasets["test"][0], prepared.own_datasets()
        seen = _seen_images(own[0], checkpoint, allow_seen) if own else None
        _check_sources_are_safe(outputs, dataset)
        _write_results_to(cfg, results, outputs)
        check_weights_fit(prepared.model, trained.weights, checkpoint)
        check_same_classes(trained.dataset_meta, dataset.metainfo["classes"], checkpoint)
        if not skip_data_check:
            check_data(own)
        cfg.load_from, cfg.resume = str(Path(checkpoint).expanduser().resolve()), False
        runner = build_runner(cfg, verbose)
        timer = InferenceTimeHook()
        runner.register_hook(timer)
        console = test_console(prepared, checkpoint)
        if not verbose:
            runner.register_hook(console)
        writing = is_main_process()
        marks.enter_context(unfinished([results, *outputs.values()] if writing else []))
        if writing:  # which would say that an older test is finished
            metrics.unlink(missing_ok=True)
        with alone(), explaining_lost_workers(), contextlib.closing(console):
            runner.test()
        if writing and metrics.exists():  # a config may name other metrics, which only log
            run = run_stamp(cfg, config or cfg.filename, dataset, runner.model)
            run["seen_images"] = seen and {part: len(ids) for part, ids in seen.items()}
            run["time"] = timer.summary()
            run["adaptation"] = adaptation and AdaptationSettings(**adaptation).described()
            write_json(metrics, {**load_metrics(metrics), "run": run})
            write_figures(results)
    if visualize and writing and metrics.exists():
        draw(
            checkpoint,
            config,
            results / FIGURES_FOLDER,
            work_dir=results.parent,
            maps=outputs.get("out_dir"),
            cfg_options=cfg_options,
            overwrite=again,
            trust_checkpoint=trust_checkpoint,
        )


def _seen_images(
    dataset: ARTeFACTDataset, checkpoint: str | Path, allow_seen: bool
) -> dict[str, list[str]] | None:
    """Returns which tested images the checkpoint's run has seen; refuses them unless allowed."""
    split, samples = dataset.read_split()
    tested = [dataset.get_data_info(i)["sample_id"] for i in range(len(dataset))]
    seen = seen_images(samples, tested, checkpoint)
    if seen is None and is_main_process():
        print(
            f"warning: {Path(checkpoint).parent} holds no {SPLIT_FILE}, so that nobody can tell "
            "whether the tested images were trained on. Keep it beside the checkpoint"
        )
    if not allow_seen:
        check_unseen(seen, split, checkpoint)
    return seen


def _check_output(
    results: Path, outputs: Mapping[str, Path], overwrite: bool, visualize: bool
) -> None:
    """Refuses to replace results that nobody asked to replace."""
    if len(set(outputs.values())) < len(outputs):
        raise InputError(
            f"{outputs['out_dir']}: --show-dir and --out name their files alike; give two folders"
        )
    if overwrite:
        return
    was_written = (results / METRICS_FILE).exists() and not is_unfinished(results)
    problems = [str(results / METRICS_FILE)] if was_written else []
    if visualize and not is_unfinished(results):
        try:
            check_figures(results / FIGURES_FOLDER, overwrite)
        except InputError as error:
            problems.append(str(error))
    problems += [
        f"{folder}: holds pictures"
        for folder in outputs.values()
        if next(folder.glob("[!.]*.png"), None) and not is_unfinished(folder)
    ]
    if problems:
        raise InputError(
            "results are already there; choose other folders, or replace them with --overwrite",
            problems,
        )


def _check_sources_are_safe(outputs: Mapping[str, Path], dataset: BaseDataset) -> None:
    """Refuses to write files named after the images over the images or their masks."""
    sources = {
        Path(entry[key]).resolve().parent
        for entry in map(dataset.get_data_info, range(len(dataset)))
        for key in ("img_path", "seg_map_path")
        if key in entry
    }
    problems = [str(folder) for folder in outputs.values() if folder in sources]
    if problems:
        raise InputError("results cannot be written into the folders of the data set", problems)


def _write_results_to(cfg: Config, results: Path, outputs: Mapping[str, Path]) -> None:
    """Tells the metric and the hook where to write."""
    for evaluator in as_list(cfg.test_evaluator):
        if evaluator.type == "ConfusionMetric":
            evaluator.results_dir = str(results)
            evaluator.setdefault("parts", list(PARTS))
            own = issubclass(MODELS.get(cfg.model.type) or object, HeritageEncoderDecoder)
            if own and "calibration" in evaluator.parts:
                cfg.model.inference = {**(cfg.model.get("inference") or {}), "confidence": True}
    if outputs:
        folders = {name: str(folder) for name, folder in outputs.items()}
        cfg.custom_hooks = [*cfg.get("custom_hooks", []), {"type": "PredictionHook", **folders}]
