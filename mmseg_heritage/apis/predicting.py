"""Damage maps of photographs that have no annotation."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mmseg_heritage.apis.predicting_large import predict_large
from mmseg_heritage.apis.prediction_files import (
    is_done,
    made_with_content,
    result_file,
    unread_of,
    unread_problem,
    write_prediction,
)
from mmseg_heritage.dataprep.ids import NOT_UNICODE, escaped, is_unicode
from mmseg_heritage.errors import InputError, system_message
from mmseg_heritage.evaluation.baseline import no_better_than_clean
from mmseg_heritage.images.formats import IMAGE_SUFFIXES, folder_files
from mmseg_heritage.images.large_photographs import large_photograph, page_count
from mmseg_heritage.inference.predictor import thinnest_line
from mmseg_heritage.runs.config.config_files import find_config
from mmseg_heritage.runs.load_predictor import Predictor
from mmseg_heritage.runs.prepare import output_folder
from mmseg_heritage.utils.files import sha256
from mmseg_heritage.utils.progress import progress_bar

_SHRUNK = 1.05  # a smaller factor is not worth a word


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
) -> list[Path]:
    """Writes, for every photograph, its class map, an overlay and the share of each class.

    The files are ``<name>_classes.png`` (mask values with palette), ``<name>_overlay.png`` (of a
    JPEG photograph ``.jpg``), ``<name>_panel.png`` (photograph and class map with a legend) and
    ``<name>.json``; hierarchical models add ``<name>_<level>.png`` (ids with palette) for each
    level. A photograph of more pixels than are held at once
    (:func:`~mmseg_heritage.images.image_files.max_pixels`) is read in parts; its maps are tiled
    TIFFs, and its overlay is a small JPEG.

    The same command once more goes on with what is missing.

    Args:
        checkpoint: Checkpoint file. Nothing else of its run is needed.
        photographs: A photograph, a folder of them, or a list of these.
        out_dir: Where to write.
        config: Config file to use in place of the one inside the checkpoint.
        device: As in :class:`mmseg_heritage.Predictor`.
        cfg_options: Dotted key -> value.
        overwrite: Allows replacing files of an earlier prediction.
        trust_checkpoint: Lets the checkpoint run code.
        page: Which of the pages of a TIFF that are no previews, from 1.

    Returns:
        The JSON files.

    Raises:
        InputError: If inputs cannot be used. Photographs that cannot be predicted are gathered and
            reported after the others are done.
    """
    given = [photographs] if isinstance(photographs, (str, os.PathLike)) else photographs
    files, clashes = _photographs([Path(path) for path in given])
    out = output_folder(out_dir)
    if any(out == Path(path).resolve() for path in given):
        raise InputError(
            f"{out}: results among the photographs would be taken for photographs next time; "
            "choose another --out"
        )
    if page < 1:
        raise InputError(f"--page {page}: pages are counted from 1")
    predictor = Predictor(checkpoint, config, device, cfg_options, trust_checkpoint)
    config_file = find_config(config) if config else None
    checkpoint_file = Path(checkpoint).expanduser()
    made_with = made_with_content(
        checkpoint_file, config_file, cfg_options or {}, page, predictor.validation
    )
    done = [] if overwrite else _done(out, files, made_with)
    work = _Work(predictor, out, made_with, page)
    work.problems += clashes
    for file in done:
        unread = unread_of(file, out)
        work.incomplete += [unread_problem(file, unread)] if unread else []
    work.run([file for file in files if file not in done])
    if done:
        print(
            f"{len(done)} of {len(files)} photographs were predicted before, with the same "
            "checkpoint and settings, and are left as they are (--overwrite makes them again)"
        )
    if warning := no_better_than_clean(predictor.validation):
        print(f"warning: {checkpoint}: when it was validated, {warning}")
    _say_what_was_shrunk(work.thinnest_lines, len(files))
    written = [*(result_file(file, out) for file in done), *work.written]
    if len(work.problems) == 1 and not written and not clashes:
        raise InputError(work.problems[0])
    if work.problems or work.incomplete:
        number = len(files) + len(clashes)
        counts = [
            f"{len(problems)} of {number} photographs could not be {what}"
            for problems, what in (
                (work.problems, "predicted"),
                (work.incomplete, "read everywhere"),
            )
            if problems
        ]
        others = f"; the results of the others are in {out}" if written else ""
        raise InputError(" and ".join(counts) + others, work.problems + work.incomplete)
    return written


class _Work:
    """Predicts photographs one after the other, whatever becomes of the one before.

    Args:
        predictor: The model.
        out: Where to write.
        made_with: See :func:`made_with_content`.
        page: Of photographs with several pages.

    Attributes:
        written: JSON files of what was predicted.
        problems: What could not be predicted.
        incomplete: What was predicted, but could not be read everywhere.
        thinnest_lines: Of the photographs that were shrunk, see
            :attr:`~mmseg_heritage.inference.predictor.Prediction.thinnest_line`.
    """

    def __init__(
        self, predictor: Predictor, out: Path, made_with: Mapping[str, Any], page: int
    ) -> None:
        self._predictor, self._out, self._made_with, self._page = predictor, out, made_with, page
        self.written = list[Path]()
        self.problems = list[str]()
        self.incomplete = list[str]()
        self.thinnest_lines = list[float]()

    def run(self, files: Sequence[Path]) -> None:
        """Predicts photographs; those that are read in parts come last."""
        if not files:
            return
        large = []
        with progress_bar("predicting") as report:
            for number, file in enumerate(files, start=1):
                with self._problems_of(file):
                    self._say_pages(file)
                    image = large_photograph(file, self._page)
                    if image is None:
                        self._small(file)
                    else:
                        image.close()
                        large.append(file)
                report(number, len(files))
        for file in large:
            with self._problems_of(file):
                self._large(file)

    @contextmanager
    def _problems_of(self, file: Path) -> Iterator[None]:
        """Keeps what cannot be predicted from ending the others."""
        try:
            yield
        except InputError as error:
            self.problems.append(str(error))
        except OSError as error:
            self.problems.append(f"{file}: {system_message(error)}")

    def _say_pages(self, file: Path) -> None:
        pages = page_count(file)
        if pages > 1:
            print(f"{file}: {pages} pages, of which page {self._page} is predicted (--page)")

    def _small(self, file: Path) -> None:
        before = sha256(file)
        found = self._predictor(file, self._page)
        self.written.append(write_prediction(found, file, self._out, before, self._made_with))
        self.thinnest_lines.append(found.thinnest_line)

    def _large(self, file: Path) -> None:
        image = large_photograph(file, self._page)
        if image is None:
            raise InputError(f"{file}: has changed since the command began")
        print(f"{file}: {image.shape[1]}x{image.shape[0]} px, read in parts")
        with image, progress_bar(f"{file.name}, rows") as report:
            written, problem = predict_large(
                self._predictor, image, file, self._out, self._made_with, report
            )
        self.written.append(written)
        self.incomplete += [problem] if problem else []
        seen_at = self._predictor.seen_at(*image.shape)
        self.thinnest_lines.append(thinnest_line(image.shape, seen_at))


def _say_what_was_shrunk(thinnest_lines: Sequence[float], number: int) -> None:
    """Says how thin a line can be that the network may have seen."""
    shrunk = [line for line in thinnest_lines if line >= _SHRUNK]
    if shrunk:
        print(
            f"{len(shrunk)} of {number} photographs were shrunk for the network, by up to "
            f"{max(shrunk):.1f}: lines thinner than {max(shrunk):.1f} px are likely to be lost. "
            "--inference scales=native looks at them at full size, unless the checkpoint's test "
            "pipeline shrinks them"
        )


def _photographs(paths: Sequence[Path]) -> tuple[list[Path], list[str]]:
    """Returns the photographs to predict, and a line for each whose name cannot be used.

    The results of photographs that share a name would be the same files, so that none is predicted.
    """
    files: list[Path] = []
    problems = []
    for path in paths:
        in_folder = folder_files(path) if path.is_dir() else None
        found = in_folder.images if in_folder else [path]
        unread = in_folder.not_read() if in_folder else ""
        if not path.exists():
            problems.append(f"{path}: no such photograph or folder")
        elif not found:
            endings = ", ".join(IMAGE_SUFFIXES)
            also = f"; {unread}" if unread else ""
            problems.append(f"{path}: the folder holds no images ({endings}){also}")
        elif unread:
            print(f"{path}: {unread}")
        files += found
    if problems or not files:
        raise InputError("there is nothing to predict", problems)
    unnamed = [f"{escaped(str(f))}: {NOT_UNICODE}" for f in files if not is_unicode(f.name)]
    of_name: dict[str, list[Path]] = {}
    for file in filter(lambda file: is_unicode(file.name), files):
        of_name.setdefault(file.stem, []).append(file)
    clashes = [
        f"{file}: has the name of {', '.join(str(other) for other in same if other is not file)}, "
        "and their results would be the same files; rename it, or give another --out"
        for same in of_name.values()
        if len(same) > 1
        for file in same
    ]
    return [same[0] for same in of_name.values() if len(same) == 1], unnamed + clashes


def _done(out: Path, photographs: Sequence[Path], made_with: Mapping[str, Any]) -> list[Path]:
    """Returns the photographs that were predicted before, with the same in every way.

    Raises:
        InputError: If there are results of others.
    """
    there = [file for file in photographs if result_file(file, out).exists()]
    done = [file for file in there if is_done(file, out, made_with)]
    others = [str(result_file(file, out)) for file in there if file not in done]
    if others:
        raise InputError(
            "results are already there, of other photographs, another checkpoint or other "
            "settings; choose another --out, or replace them with --overwrite",
            others,
        )
    return done
