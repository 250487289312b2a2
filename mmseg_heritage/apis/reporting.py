"""One HTML file on a tested run, or on several beside each other. Needs no torch."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from mmseg_heritage.errors import InputError
from mmseg_heritage.evaluation.comparing.comparison import compare_entries
from mmseg_heritage.evaluation.summary import summarize
from mmseg_heritage.evaluation.tested_runs import Entry, read_entries
from mmseg_heritage.utils.files import replacing

_SUFFIXES = (".html", ".htm")


def report(
    runs: Sequence[str],
    out: str | Path,
    pictures: Sequence[str | Path] = (),
    reference: str | None = None,
    allow_different: Sequence[str] = (),
    overwrite: bool = False,
) -> list[str]:
    """Writes the report of a run that was tested, or the comparison of several.

    Args:
        runs: See :func:`mmseg_heritage.evaluation.tested_runs.read_entries`.
        out: HTML file to write.
        pictures: Of each run the folder that its test filled with ``--show-dir``, in their order;
            empty for a report without pictures.
        reference: See :func:`mmseg_heritage.apis.comparing.compare`.
        allow_different: See
            :func:`mmseg_heritage.evaluation.comparing.comparable.require_comparable`.
        overwrite: Allows replacing ``out``.

    Returns:
        What a reader should know of the report, such as how many pictures are missing.

    Raises:
        InputError: If folders hold no tested run, if runs cannot be compared, if there are not as
            many folders of pictures as runs, if one holds none of the pictures or one cannot be
            read, or if ``out`` is there and nobody asked to replace it.
    """
    out = Path(out).expanduser()
    _check_output(out, overwrite)
    entries = read_entries(runs)
    # What draws is imported late: what is wrong with the arguments is said at once.
    from mmseg_heritage.visualization.report.page import comparison_page, render, run_page

    panels = _panels(entries, pictures)
    if len(entries) == 1 and len(entries[0].runs) == 1:
        _check_reference(entries[0], reference)
        run = entries[0].runs[0]
        page = run_page(entries[0].label, run, summarize(run.counts), panels)
    else:
        content = compare_entries(entries, reference, allow_different)
        page = comparison_page(entries, content, panels)
    text = render(page)
    with replacing(out) as temporary:
        temporary.write_text(text, encoding="utf-8")
    return list(page.notes)


def _check_output(out: Path, overwrite: bool) -> None:
    """Refuses names that are no HTML file, and files that nobody asked to replace."""
    if out.suffix.lower() not in _SUFFIXES:
        raise InputError(f"{out}: expected the name of an HTML file, such as report.html")
    if out.is_dir():
        raise InputError(f"{out}: expected a file to write, found a folder")
    if out.exists() and not overwrite:
        raise InputError(f"{out}: is already there; choose another name, or add --overwrite")


def _check_reference(entry: Entry, reference: str | None) -> None:
    """Refuses a reference where there is nothing to compare with it."""
    if reference is not None and reference != entry.label:
        raise InputError(f"no run is named '{reference}'; choose one of: {entry.label}")


def _panels(entries: Sequence[Entry], folders: Sequence[str | Path]) -> list[dict[str, Path]]:
    """Finds the pictures of each run."""
    from mmseg_heritage.visualization.report.report_pictures import find_panels

    if not folders:
        return []
    if len(folders) != len(entries):
        raise InputError(
            f"expected a folder of pictures for each run, in their order: {len(entries)}; found "
            f"{len(folders)}"
        )
    panels, problems = [], []
    for entry, folder in zip(entries, folders, strict=True):
        try:
            panels.append(find_panels(folder, entry.counts.ids))
        except InputError as error:
            problems.append(f"{entry.label}: {error}")
    if problems:
        raise InputError("the pictures of some runs are not there", problems)
    return panels
