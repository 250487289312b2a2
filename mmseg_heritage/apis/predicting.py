"""Damage maps of photographs that have no annotation."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mmseg_heritage.apis.photograph_list import Photograph, find_photographs
from mmseg_heritage.apis.predicting_large import predict_large
from mmseg_heritage.apis.prediction_files import (
    Job,
    is_done,
    made_with_content,
    result_file,
    unread_problem,
    write_prediction,
)
from mmseg_heritage.apis.prediction_folder import (
    SHRUNK,
    NotPredicted,
    console_table,
    is_unlike,
    write_folder,
)
from mmseg_heritage.apis.remeasuring import measured_again
from mmseg_heritage.errors import InputError, system_message
from mmseg_heritage.evaluation.baseline import no_better_than_clean
from mmseg_heritage.images.large_photographs import large_photograph, page_count
from mmseg_heritage.inference.onnx_predictor import SUFFIX, OnnxPredictor
from mmseg_heritage.inference.prediction import PhotographPredictor
from mmseg_heritage.quantities import UNSURE_BELOW
from mmseg_heritage.quantities.scale import given_scale, read_scales
from mmseg_heritage.utils.files import output_folder, sha256
from mmseg_heritage.utils.progress import progress_bar

if TYPE_CHECKING:
    from mmseg_heritage.runs.load_predictor import Predictor

_NAMED = 5  # photographs in one sentence


def predict(
    checkpoint: str | Path,
    photographs: str | Path | Sequence[str | Path],
    out_dir: str | Path,
    config: str | Path | None = None,
    device: str | None = None,
    cfg_options: Mapping[str, Any] | None = None,
    overwrite: bool = False,
    trust_checkpoint: bool = False,
    page: int = 1,
    recursive: bool = False,
    dpi: float | None = None,
    mm_per_pixel: float | None = None,
    scales: str | Path | None = None,
    unsure_below: float = UNSURE_BELOW,
    official_colors: bool = False,
) -> list[Path]:
    """Writes, for every photograph, its class map, an overlay and the quantities of each class.

    The files are ``<name>_classes.png`` (mask values with palette), ``<name>_confidence.png``
    (probability of the class in steps of 1/255), ``<name>_overlay.png`` and ``<name>_panel.png``
    (photograph and class map), both with legend and scale bar, and of a JPEG photograph
    ``.jpg``, ``<name>_preview.jpg``, ``<name>_regions.csv`` and ``<name>.json``; hierarchical
    models add ``<name>_<level>.png`` (ids with palette) for each level. A photograph of more pixels
    than are held at once (:func:`~mmseg_heritage.images.image_files.max_pixels`) is read in parts;
    its maps are tiled TIFFs, and its overlay is a small JPEG. For all together there are
    ``index.html``, ``areas.csv``, ``regions.csv`` and ``run.json``.

    The same command once more goes on with what is missing. With another scale or another
    ``unsure_below`` it measures the maps that are there again.

    Args:
        checkpoint: Checkpoint file, or an exported model (``.onnx``), which needs no torch. Nothing
            else of its run is needed.
        photographs: A photograph, a folder of them, or a list of these.
        out_dir: Where to write.
        config: Config file to use in place of the one inside the checkpoint.
        device: As in :class:`mmseg_heritage.Predictor`.
        cfg_options: Dotted key -> value.
        overwrite: Allows replacing files of an earlier prediction.
        trust_checkpoint: Lets the checkpoint run code.
        page: Which of the pages of a TIFF that are no previews, from 1.
        recursive: Looks into the folders below a folder too; results lie in folders of their names.
        dpi: Pixels for each inch of the object, of all photographs that ``scales`` does not list.
            Without any scale it is that of the file where it can be believed.
        mm_per_pixel: The same in millimeters of the object for each pixel.
        scales: CSV with the columns ``photograph``, and ``mm_per_pixel`` or ``dpi``.
        unsure_below: Pixels with less confidence are counted as unsure, 0 to 1.
        official_colors: Draws pictures in the colors of the data set, as class maps always are,
            not in those that can be seen on any photograph.

    Returns:
        The JSON files.

    Raises:
        InputError: If inputs cannot be used. Photographs that cannot be predicted are gathered and
            reported after the others are done.
    """
    if isinstance(photographs, (str, os.PathLike)):
        photographs = [photographs]
    given = [Path(path) for path in photographs]
    scale = given_scale(dpi, mm_per_pixel)
    if not 0 < unsure_below <= 1:
        raise InputError(f"--unsure-below {unsure_below}: expected a probability above 0, up to 1")
    files, clashes = find_photographs(given, recursive)
    out = output_folder(out_dir)
    _refuse_results_among_photographs(out, given, recursive)
    if page < 1:
        raise InputError(f"--page {page}: pages are counted from 1")
    names = {file.name: file.path.name for file in files}
    of_each, remarks = read_scales(scales, names) if scales else ({}, [])
    for remark in remarks:
        print(f"warning: {remark}")
    predictor = _predictor(checkpoint, config, device, cfg_options, trust_checkpoint)
    if "inference.confidence" not in (cfg_options or {}):
        predictor.keep_confidence()
    config_file = _config_file(config)
    checkpoint_file = Path(checkpoint).expanduser()
    made_with = made_with_content(
        checkpoint_file, config_file, cfg_options or {}, page, predictor.validation, official_colors
    )
    if isinstance(predictor, OnnxPredictor):
        made_with["exported_from"] = dict(predictor.exported.origin)
    job = Job(out, made_with, page, unsure_below, scale, of_each, official_colors)
    done = [] if overwrite else _done(files, job)
    work = _Work(predictor, job)
    work.problems += [NotPredicted(clash) for clash in clashes]
    for file in done:
        work.again(file)
    work.run([file for file in files if file not in done])
    if done:
        print(
            f"{len(done)} of {len(files)} photographs were predicted before, with the same "
            "checkpoint and settings, and are left as they are (--overwrite makes them again)"
        )
    if work.measured:
        print(f"{work.measured} of these were measured again, with another scale or threshold")
    if warning := no_better_than_clean(predictor.validation):
        print(f"warning: {checkpoint}: when it was validated, {warning}")
    settings = {
        "device": predictor.device,
        "recursive": recursive,
        "dpi": dpi,
        "mm_per_pixel": mm_per_pixel,
        "scales": None if scales is None else Path(scales).name,
        "scales_sha256": None if scales is None else sha256(scales),
    }
    records = write_folder(job, settings, work.problems)
    _say_what_was_found(files, records)
    failed = [p.problem for p in work.problems if not p.is_incomplete]
    incomplete = [p.problem for p in work.problems if p.is_incomplete]
    written = [result_file(file, out) for file in [*done, *work.written]]
    if len(failed) == 1 and not written and not clashes:
        raise InputError(failed[0])
    if work.problems:
        number = len(files) + len(clashes)
        counts = [
            f"{len(problems)} of {number} photographs could not be {what}"
            for problems, what in ((failed, "predicted"), (incomplete, "read everywhere"))
            if problems
        ]
        others = f"; the results of the others are in {out}" if written else ""
        raise InputError(" and ".join(counts) + others, failed + incomplete)
    return written


def _predictor(
    checkpoint: str | Path,
    config: str | Path | None,
    device: str | None,
    cfg_options: Mapping[str, Any] | None,
    trust_checkpoint: bool,
) -> Predictor | OnnxPredictor:
    """Loads a checkpoint, which takes torch, or an exported model, which does not."""
    if Path(checkpoint).suffix.lower() != SUFFIX:
        from mmseg_heritage.runs.load_predictor import Predictor

        return Predictor(checkpoint, config, device, cfg_options, trust_checkpoint)
    if config is not None:
        raise InputError(f"{checkpoint}: an exported model takes no config; leave {config} out")
    if device not in (None, "cpu"):
        raise InputError(f"--device {device}: an exported model runs on the cpu; leave it out")
    return OnnxPredictor(checkpoint, cfg_options)


def _config_file(config: str | Path | None) -> Path | None:
    if config is None:
        return None
    from mmseg_heritage.runs.config.config_files import find_config  # needs mmengine

    return find_config(config)


def _refuse_results_among_photographs(out: Path, given: Sequence[Path], recursive: bool) -> None:
    """Refuses an output folder in which the photographs of the next command would be looked for."""
    folders = [path.resolve() for path in given]
    if any(out == folder or (recursive and folder in out.parents) for folder in folders):
        raise InputError(
            f"{out}: results among the photographs would be taken for photographs next time; "
            "choose another --out"
        )


class _Work:
    """Predicts photographs one after the other, whatever becomes of the one before.

    Args:
        predictor: The model.
        job: What is done.

    Attributes:
        written: What was predicted.
        measured: Number of those whose maps were measured again.
        problems: What could not be predicted, or not be read everywhere.
    """

    def __init__(self, predictor: PhotographPredictor, job: Job) -> None:
        self._predictor, self._job = predictor, job
        self.written = list[Photograph]()
        self.measured = 0
        self.problems = list[NotPredicted]()

    def run(self, files: Sequence[Photograph]) -> None:
        """Predicts photographs; those that are read in parts come last."""
        if not files:
            return
        large = []
        with progress_bar("predicting") as report:
            for number, file in enumerate(files, start=1):
                with self._problems_of(file):
                    self._say_pages(file)
                    image = large_photograph(file.path, self._job.page)
                    if image is None:
                        self._small(file)
                    else:
                        image.close()
                        large.append(file)
                report(number, len(files))
        for file in large:
            with self._problems_of(file):
                self._large(file)

    def again(self, file: Photograph) -> None:
        """Measures the maps of a photograph again that was predicted before, where that is due."""
        with self._problems_of(file):
            content, is_new = measured_again(file, self._predictor, self._job)
            self.measured += is_new
            self._note_unread(file, content)

    @contextmanager
    def _problems_of(self, file: Photograph) -> Iterator[None]:
        """Keeps what cannot be predicted from ending the others."""
        try:
            yield
        except InputError as error:
            self.problems.append(NotPredicted(str(error)))
        except OSError as error:
            self.problems.append(NotPredicted(f"{file.path}: {system_message(error)}"))

    def _say_pages(self, file: Photograph) -> None:
        pages, page = page_count(file.path), self._job.page
        if pages > 1:
            print(f"{file.path}: {pages} pages, of which page {page} is predicted (--page)")

    def _small(self, file: Photograph) -> None:
        before = sha256(file.path)
        found = self._predictor(file.path, self._job.page)
        write_prediction(found, file, before, self._job)
        self.written.append(file)

    def _large(self, file: Photograph) -> None:
        image = large_photograph(file.path, self._job.page)
        if image is None:
            raise InputError(f"{file.path}: has changed since the command began")
        print(f"{file.path}: {image.shape[1]}x{image.shape[0]} px, read in parts")
        with image, progress_bar(f"{file.path.name}, rows") as report:
            content = predict_large(self._predictor, image, file, self._job, report)
        self.written.append(file)
        self._note_unread(file, content)

    def _note_unread(self, file: Photograph, content: Mapping[str, Any]) -> None:
        if unread := content.get("unread"):
            problem = unread_problem(file.path, unread)
            self.problems.append(NotPredicted(problem, is_incomplete=True))


def _say_what_was_found(
    files: Sequence[Photograph], records: Mapping[str, Mapping[str, Any]]
) -> None:
    """Prints the quantities, what was shrunk, and what is odd about scales."""
    of_files = [records[file.name] for file in files if file.name in records]
    if not of_files:
        return
    print(console_table(files, records))
    remarks: dict[str, list[str]] = {}
    for file in files:
        scale = records.get(file.name, {}).get("scale", {})
        if remark := scale.get("remark") or _source_remark(scale):
            remarks.setdefault(remark, []).append(file.name)
    for remark, names in remarks.items():
        others = f" and {len(names) - 1} more" if len(names) > 1 else ""
        print(f"scale of {names[0]}{others}: {remark}")
    shrunk = [r["thinnest_line_px"] for r in of_files if r["thinnest_line_px"] >= SHRUNK]
    if shrunk:
        print(
            f"{len(shrunk)} of {len(of_files)} photographs were shrunk for the network, by up to "
            f"{max(shrunk):.1f}: lines thinner than {max(shrunk):.1f} px are likely to be lost. "
            "--inference scales=native looks at them at full size, unless the checkpoint's test "
            "pipeline shrinks them"
        )
    if unlike := [file.name for file in files if is_unlike(records.get(file.name, {}))]:
        rate = records[unlike[0]]["unlike_training"]["false_alarm_rate"]
        others = f" and {len(unlike) - _NAMED} more" if len(unlike) > _NAMED else ""
        print(
            f"{len(unlike)} of {len(of_files)} photographs are unlike anything the model was "
            f"trained on (of photographs like those, {100 * rate:.0f} % are flagged too); what it "
            f"found there is a guess: {', '.join(unlike[:_NAMED])}{others}"
        )
    below = of_files[0]["unsure"]["below"]
    print(
        f"unsure: confidence below {below:g}. Percentages are of the object. All of this is a "
        "machine's suggestion, to be reviewed by a conservator"
    )


def _source_remark(scale: Mapping[str, Any]) -> str:
    """Says where the scale of a photograph was found, if that was in its file."""
    if not scale.get("in_file"):
        return ""
    return f"{scale['source']} in the file; give another if that is not the scale of the object"


def _done(photographs: Sequence[Photograph], job: Job) -> list[Photograph]:
    """Returns the photographs that were predicted before, with the same in every way.

    Raises:
        InputError: If there are results of others.
    """
    there = [file for file in photographs if result_file(file, job.out).exists()]
    done = [file for file in there if is_done(file, job)]
    others = [str(result_file(file, job.out)) for file in there if file not in done]
    if others:
        raise InputError(
            "results are already there, of other photographs, another checkpoint or other "
            "settings; choose another --out, or replace them with --overwrite",
            others,
        )
    return done
