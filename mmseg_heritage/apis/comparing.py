"""Runs beside each other: tables and figures of scores, differences and cost. Needs no torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mmseg_heritage.errors import InputError
from mmseg_heritage.evaluation.comparing.bootstrap import RESAMPLES
from mmseg_heritage.evaluation.comparing.comparison import compare_entries
from mmseg_heritage.evaluation.comparing.comparison_tables import comparison_tables, long_table
from mmseg_heritage.evaluation.tested_runs import read_entries
from mmseg_heritage.utils.files import (
    finished_files,
    refuse_file,
    remove_temporaries,
    staging_folder,
    write_json,
    writing_together,
)

FILES = ("compare.json", "compare.csv", "compare.md", "compare.tex")
FIGURES = ("accuracy_speed.png", "class_iou.png", "differences.png")


def compare(
    runs: Sequence[str],
    reference: str | None = None,
    out: str | Path | None = None,
    allow_different: Sequence[str] = (),
    resamples: int = RESAMPLES,
    seed: int = 0,
    overwrite: bool = False,
) -> dict[str, Any]:
    """Compares runs that were tested, from what their tests wrote.

    Args:
        runs: See :func:`mmseg_heritage.evaluation.tested_runs.read_entries`.
        reference: Label of the run that the others are compared with; the first if None.
        out: Folder for :data:`FILES` and :data:`FIGURES`; None writes nothing.
        allow_different: See
            :func:`mmseg_heritage.evaluation.comparing.comparable.require_comparable`.
        resamples: Number of resamples of the bootstrap.
        seed: Of the resamples.
        overwrite: Allows replacing an earlier comparison in ``out``.

    Returns:
        See :func:`mmseg_heritage.evaluation.comparing.comparison.compare_entries`.

    Raises:
        InputError: If folders hold no tested run, if runs cannot be compared, if there are too few
            resamples, or if ``out`` holds a comparison that nobody asked to replace.
    """
    folder = None if out is None else Path(out).expanduser()
    if folder is not None:
        _check_output(folder, overwrite)
    content = compare_entries(read_entries(runs), reference, allow_different, resamples, seed)
    if folder is not None:
        write_comparison(folder, content)
    return content


def write_comparison(folder: Path, content: Mapping[str, Any]) -> list[Path]:
    """Writes a comparison as JSON, CSV, Markdown, LaTeX and figures, replacing an earlier one.

    Args:
        folder: Made where it is missing.
        content: See :func:`compare`.

    Returns:
        The files.
    """
    from mmseg_heritage.visualization.figures.comparison_figures import draw_comparison

    tables = comparison_tables(content)
    texts = {
        "compare.csv": long_table(content).csv(),
        "compare.md": "\n".join(["# Comparison\n", *(table.markdown() for table in tables)]),
        "compare.tex": "\n".join(table.latex() for table in tables),
    }
    with staging_folder(folder / "compare") as staging:
        for name, text in texts.items():
            (staging / name).write_text(text, encoding="utf-8", newline="")
        write_json(staging / FILES[0], content)
        names = [*FILES, *(path.name for path in draw_comparison(staging, content))]
        with writing_together(folder, [folder / name for name in (*FILES, *FIGURES)]):
            for name in (*FILES, *FIGURES):
                if name in names:
                    (staging / name).replace(folder / name)
                else:  # one of an earlier comparison would be taken for this one's
                    (folder / name).unlink(missing_ok=True)
    return [folder / name for name in names]


def _check_output(folder: Path, overwrite: bool) -> None:
    """Refuses to replace a comparison that nobody asked to replace."""
    refuse_file(folder)
    remove_temporaries(folder)
    files = [folder / name for name in (*FILES, *FIGURES)]
    found = list(map(str, finished_files(folder, files)))
    if found and not overwrite:
        raise InputError(
            "a comparison is already there; choose another folder, or replace it with --overwrite",
            found,
        )
