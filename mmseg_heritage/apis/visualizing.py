"""Pictures of a tested run: of its scores, its training, and its predictions beside the truth."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from mmseg_heritage.errors import InputError
from mmseg_heritage.evaluation.means import damage_classes
from mmseg_heritage.evaluation.store import Counts, load_counts
from mmseg_heritage.evaluation.summary import COUNTS_FILE, METRICS_FILE, load_metrics, summarize
from mmseg_heritage.evaluation.tested_runs import EVALUATION_FOLDER, FIGURES_FOLDER
from mmseg_heritage.runs.shown_images import ShownImages
from mmseg_heritage.runs.trained_run import read_trained_run
from mmseg_heritage.utils.checkpoints.checkpoint import missing_checkpoint
from mmseg_heritage.utils.files import (
    finished_files,
    output_folder,
    remove_temporaries,
    sha256,
    staging_folder,
    write_json,
    writing_together,
)
from mmseg_heritage.utils.folder_lock import LOCK, locked_folder
from mmseg_heritage.utils.text import require_known
from mmseg_heritage.visualization.figures import curves, sheets
from mmseg_heritage.visualization.figures import score_figures as scores
from mmseg_heritage.visualization.figures.samples import (
    CLASS_RULE,
    SAMPLE_RULE,
    Choice,
    choose_of_class,
    choose_samples,
)
from mmseg_heritage.visualization.figures.style import file_name

SCHEMA = "mmseg_heritage/figures/1"
FIGURES_FILE = "figures.json"
ROWS = 5
"""Images on one page of the grid and of the errors."""

ASKED_RULE = "The images that were asked for."


class _Unavailable(Exception):
    """A kind of figure that this run has nothing for; the message says why."""


@dataclass(frozen=True)
class Figures:
    """What was drawn.

    Attributes:
        files: The pictures, then ``figures.json``, which says what each shows.
        left_out: Kind of figure -> why there is none.
    """

    files: tuple[Path, ...]
    left_out: Mapping[str, str]


def visualize(
    checkpoint: str | Path,
    config: str | Path | None = None,
    out: str | Path | None = None,
    work_dir: str | Path | None = None,
    images: Sequence[str] = (),
    class_name: str | None = None,
    kinds: Sequence[str] | None = None,
    maps: str | Path | None = None,
    device: str | None = None,
    cfg_options: Mapping[str, Any] | None = None,
    overwrite: bool = False,
    trust_checkpoint: bool = False,
) -> Figures:
    """Draws figures of a run into a folder, all or none.

    Args:
        checkpoint: The checkpoint that was tested.
        config: Config file to use in place of the one inside the checkpoint.
        out: Folder to write to; ``evaluation/figures`` of the run if None, where ``report`` finds
            them.
        work_dir: Folder of the run, with its ``evaluation``; that of the checkpoint if None.
        images: Ids of images to show; those that the rule of each figure chooses if empty.
        class_name: The class of the class panels and of the activation; None draws panels of all.
        kinds: Of :data:`KINDS`; None draws all that the run has something for, but 'cam'.
        maps: Folder that ``test --out`` wrote; None runs the model on the images that are shown.
        device: As in :class:`mmseg_heritage.Predictor`.
        cfg_options: Dotted key -> value.
        overwrite: Allows writing into a folder that holds files. Figures of an earlier call that
            are not drawn again are removed; other files stay.
        trust_checkpoint: Lets the checkpoint run code.

    Returns:
        The files, and what was left out.

    Raises:
        InputError: If the run was not tested with this checkpoint, if an id, a class or a kind is
            unknown, if images are missing, or if something asked for by name cannot be drawn.
    """
    run = Path(work_dir or Path(checkpoint).parent).expanduser()
    folder = output_folder(out or run / EVALUATION_FOLDER / FIGURES_FOLDER)
    with locked_folder(folder):
        check_figures(folder, overwrite)
        earlier = _earlier_figures(folder)
        wanted = [kind for kind in KINDS if kind != "cam"] if kinds is None else list(kinds)
        require_known("--kinds", wanted, KINDS)
        if "cam" in wanted and not (images and class_name):
            raise InputError("--kinds cam needs an image and a class: --images ID --class NAME")
        if not Path(checkpoint).is_file():
            raise missing_checkpoint(checkpoint)
        tested, digest = None, sha256(checkpoint)
        if set(wanted) - {"curves", "cam"}:
            tested = _read_test(run / EVALUATION_FOLDER, checkpoint, digest)
        with staging_folder(folder / "figures") as staging:
            read = partial(read_trained_run, checkpoint, config, cfg_options, trust_checkpoint)
            shown = ShownImages(read, tested and tested[0], maps=maps, device=device)
            job = _Job(staging, run, tested, shown, tuple(images), class_name)
            job.check_names(wanted)
            left_out = {}
            for kind in (kind for kind in KINDS if kind in wanted):
                try:
                    KINDS[kind](job, kind)
                except _Unavailable as reason:
                    if kinds is not None:
                        raise InputError(f"--kinds {kind}: {reason}") from None
                    left_out[kind] = str(reason)
            content = {
                "schema": SCHEMA,
                "config": str(config) if config else None,
                "checkpoint": str(checkpoint),
                "checkpoint_sha256": digest,
                "figures": job.entries,
                "left_out": left_out,
            }
            return Figures(_move_figures(folder, staging, content, earlier), left_out)


class _Job:
    """The figures of one call: where they go, and what they are made from."""

    def __init__(
        self,
        folder: Path,
        run: Path,
        tested: tuple[Counts, dict[str, Any]] | None,
        shown: ShownImages,
        images: tuple[str, ...],
        class_name: str | None,
    ) -> None:
        self.folder, self.run, self.shown = folder, run, shown
        self.images, self.class_name = images, class_name
        self._tested = tested
        self.entries: list[dict[str, str]] = []

    @property
    def counts(self) -> Counts:
        return self._test()[0]

    @property
    def content(self) -> dict[str, Any]:
        return self._test()[1]

    def _test(self) -> tuple[Counts, dict[str, Any]]:
        if self._tested is None:
            raise RuntimeError("no test was read")
        return self._tested

    def check_names(self, wanted: Sequence[str]) -> None:
        """Refuses ids and a class that the data set does not have, before anything is drawn."""
        if self.images:
            known = self.counts.ids if self._tested else self.shown.ids
            require_known("--images", self.images, known)
        if self.class_name is not None:
            known = self.counts.classes if self._tested else self.shown.classes
            require_known("--class", [self.class_name], known)

    def choices(self) -> tuple[list[Choice], str]:
        """Returns the images of the sheets, and the rule they were chosen by."""
        if self.images:
            return [Choice(image, "") for image in dict.fromkeys(self.images)], ASKED_RULE
        return choose_samples(self.counts), SAMPLE_RULE

    def add(self, kind: str, name: str, note: str) -> Path:
        """Registers a figure and returns where to draw it."""
        self.entries.append({"file": name, "kind": kind, "note": note})
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        return path


def _confusion(job: _Job, kind: str) -> None:
    note = "Where the pixels of each class go, in percent of its true pixels."
    scores.plot_confusion_matrix(job.add(kind, scores.MATRIX_FILE, note), job.counts)


def _iou(job: _Job, kind: str) -> None:
    note = "IoU of each class with its 95 % interval over source groups."
    scores.plot_per_class_iou(job.add(kind, scores.IOU_FILE, note), job.content)


def _reliability(job: _Job, kind: str) -> None:
    if not job.counts.has("calibration") or not job.counts.calibration.any():
        raise _Unavailable("the test has no confidences")
    note = "How often the model is right against how sure it is."
    scores.plot_reliability(job.add(kind, "reliability.png", note), job.content)


def _distribution(job: _Job, kind: str) -> None:
    note = "Share of each class in the truth and in the prediction."
    scores.plot_class_distribution(job.add(kind, "class_distribution.png", note), job.counts)


def _sizes(job: _Job, kind: str) -> None:
    if not job.counts.has("components"):
        raise _Unavailable("the test did not count connected damages")
    note = "How many of the connected damages are found, by their size."
    scores.plot_component_recall(job.add(kind, "component_recall.png", note), job.content)


def _curves(job: _Job, kind: str) -> None:
    if not curves.has_log(job.run):
        raise _Unavailable(f"no training is logged in {job.run}")
    read, starts = curves.read_scalars(job.run)
    note = "Loss, learning rate and validation scores over the training."
    curves.plot_training_curves(job.add(kind, "training_curves.png", note), read, starts)
    classes = curves.classes_of(read)
    if classes:
        path = job.add(kind, "training_curves_classes.png", "Validation IoU of each class.")
        curves.plot_class_curves(path, read, classes, starts)


def _grid(job: _Job, kind: str) -> None:
    choices, rule = job.choices()
    rows = [job.shown.get(choice) for choice in choices]
    for number, page in _pages(rows):
        path = job.add(kind, f"prediction_grid{number}.png", rule)
        sheets.plot_grid(path, page, job.counts.classes, job.counts.palette.tolist(), rule)


def _errors(job: _Job, kind: str) -> None:
    choices, rule = job.choices()
    damage = damage_classes(job.counts.classes)
    for number, page in _pages([job.shown.get(choice) for choice in choices]):
        sheets.plot_errors(job.add(kind, f"error_maps{number}.png", rule), page, damage, rule)


def _panels(job: _Job, kind: str) -> None:
    for index, name in enumerate(job.counts.classes):
        if job.class_name not in (None, name):
            continue
        if job.images:
            choices, rule = job.choices()
        else:
            choices, rule = choose_of_class(job.counts, index), CLASS_RULE
        if not choices:
            if job.class_name:
                raise _Unavailable(f"neither truth nor prediction has {name} anywhere")
            continue
        rows = [job.shown.get(choice, index) for choice in choices]
        path = job.add(kind, f"classes/{file_name(name)}.png", f"{name}. {rule}")
        sheets.plot_class(path, rows, name, index, rule)


def _levels(job: _Job, kind: str) -> None:
    if not job.counts.own_levels:
        raise _Unavailable("the model predicts no levels above its classes")
    choices, rule = job.choices()
    for choice in choices:
        path = job.add(kind, f"levels/{choice.id}.png", rule)
        sheets.plot_levels(
            path,
            job.shown.get(choice),
            job.counts.classes,
            job.counts.palette.tolist(),
            job.counts.own_levels,
        )


def _cam(job: _Job, kind: str) -> None:
    name = str(job.class_name)
    index = job.shown.classes.index(name)
    for image in dict.fromkeys(job.images):
        found, note = job.shown.activations(image, index)
        path = job.add(kind, f"cam/{image}_{file_name(name)}.png", note)
        shown = job.shown.get(Choice(image, ""))
        sheets.plot_activations(path, shown, found, name, index, note)


KINDS: Mapping[str, Callable[[_Job, str], None]] = {
    "confusion": _confusion,
    "iou": _iou,
    "reliability": _reliability,
    "distribution": _distribution,
    "sizes": _sizes,
    "curves": _curves,
    "grid": _grid,
    "errors": _errors,
    "panels": _panels,
    "levels": _levels,
    "cam": _cam,
}
"""What can be drawn; see docs/how-to/visualize.md."""


def _pages(rows: Sequence[sheets.Shown]) -> list[tuple[str, Sequence[sheets.Shown]]]:
    """Divides rows into pages, with what is added to the name of each one's file."""
    starts = range(0, len(rows), ROWS)
    one = len(starts) == 1
    return [
        ("" if one else f"_{start // ROWS + 1}", rows[start : start + ROWS]) for start in starts
    ]


def _read_test(folder: Path, checkpoint: str | Path, digest: str) -> tuple[Counts, dict[str, Any]]:
    """Reads what a test wrote, and refuses that of another checkpoint than the one of a SHA-256."""
    if not (folder / METRICS_FILE).is_file():
        raise InputError(
            f"{folder}: the run was not tested: no {METRICS_FILE} is here. Test it first, or name "
            "the folder of the tested run with --work-dir"
        )
    counts = load_counts(folder / COUNTS_FILE)
    content = {**summarize(counts), "run": load_metrics(folder / METRICS_FILE).get("run")}
    stamp = content.get("run")
    if stamp is None:
        raise InputError(f"{folder}: the test was cut off; test the checkpoint again")
    if stamp.get("checkpoint_sha256") != digest:
        raise InputError(
            f"{folder}: holds the scores of another checkpoint, {stamp.get('checkpoint')}, not of "
            f"{checkpoint}; draw that one, or test this one first"
        )
    return counts, content


def check_figures(folder: Path, overwrite: bool) -> None:
    """Refuses a folder that holds files, but for those of a command that was ended.

    Args:
        folder: Where figures are to be written.
        overwrite: Whether that is allowed all the same.
    """
    remove_temporaries(folder)
    there = [path for path in folder.rglob("*") if path.is_file() and path.name != LOCK]
    found = sorted({path.relative_to(folder).parts[0] for path in finished_files(folder, there)})
    if found and not overwrite:
        raise InputError(
            f"{folder}: holds files; choose another folder, or replace the figures in it with "
            "--overwrite",
            found,
        )


def _earlier_figures(folder: Path) -> list[str]:
    """Returns the figures of an earlier call."""
    try:
        content = json.loads((folder / FIGURES_FILE).read_text(encoding="utf-8"))
        names = [str(entry["file"]) for entry in content["figures"]]
    except (OSError, ValueError, KeyError, TypeError):
        return []  # nothing of ours is there
    return [
        n for n in names if n.endswith(".png") and (folder / n).resolve().is_relative_to(folder)
    ]


def _move_figures(
    folder: Path, staging: Path, content: Mapping[str, Any], earlier: Sequence[str]
) -> tuple[Path, ...]:
    """Moves finished figures to their folder and removes those of an earlier call."""
    names = [entry["file"] for entry in content["figures"]]
    files = [folder / name for name in (*names, FIGURES_FILE)]
    with writing_together(folder, files):
        for name in names:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (staging / name).replace(folder / name)
        for name in set(earlier) - set(names):
            (folder / name).unlink(missing_ok=True)
        write_json(folder / FIGURES_FILE, content)
    return tuple(files)
