"""Condition records of the photographs in a folder of predictions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from mmseg_heritage.apis.condition.record_facts import (
    damage_rows,
    photograph_facts,
    read_changes,
    reviewer_changes,
    unread_facts,
    unsure_facts,
)
from mmseg_heritage.apis.condition.record_pictures import chosen_regions, record_pictures
from mmseg_heritage.apis.prediction_folder import found_damage
from mmseg_heritage.apis.reviews.predicted_photographs import Predicted, find_predictions
from mmseg_heritage.errors import InputError, system_message
from mmseg_heritage.review.shown_regions import read_regions
from mmseg_heritage.utils.files import check_empty, making_folder
from mmseg_heritage.utils.progress import Bar, no_bar
from mmseg_heritage.utils.text import require_known
from mmseg_heritage.version import __version__
from mmseg_heritage.visualization.condition.legend_file import Legend, read_legend
from mmseg_heritage.visualization.condition.record_content import (
    ConditionRecord,
    LegendRow,
    Pair,
    RecordPhotograph,
)
from mmseg_heritage.visualization.condition.record_docx import require_docx, write_docx
from mmseg_heritage.visualization.condition.record_html import write_html
from mmseg_heritage.visualization.condition.record_texts import (
    DATE,
    INSTITUTION,
    INVENTORY,
    OBJECT,
    REVIEWER,
    SIGNATURE,
    is_line,
)

HTML, DOCX = "html", "docx"
MOST_TOGETHER = 40
"""Photographs in one record: each has about a megabyte of pictures."""
MOST_DETAILS = 12
_WRITERS = {HTML: write_html, DOCX: write_docx}
_MAX_FIELD = 500  # characters


@dataclass(frozen=True)
class ConditionRecords:
    """What was written.

    Attributes:
        out: The folder.
        files: The documents.
        problems: Why some photographs are in none.
    """

    out: Path
    files: list[Path]
    problems: list[str]


def condition_record(
    predictions: str | Path,
    out: str | Path,
    *,
    legend: str | Path | None = None,
    fields: Mapping[str, str] | None = None,
    one_object: bool = False,
    formats: Sequence[str] = (HTML,),
    details: int = 6,
    photos: str | Path | None = None,
    bar: Bar = no_bar,
) -> ConditionRecords:
    """Writes a condition record of each photograph, or one of all: a document to print and sign.

    Each is one file that needs nothing else: the photograph, what was found on it with a legend,
    the table of damage, regions with details, what is unsure, what was not read, what reviewers
    have changed, and fields to complete.

    Args:
        predictions: Folder that predict or apply-review wrote.
        out: Folder to make, absent or empty.
        legend: Legend file, or the name of one that comes with the package ('spanish').
        fields: Label -> text of what is known of the object, such as 'Inventory number'.
        one_object: Writes one record of all photographs, which are of one object.
        formats: 'html', 'docx' or both.
        details: Regions of a photograph that are shown enlarged, 0 to 12.
        photos: Folder of the photographs, where they are not where they were predicted.
        bar: Shows progress.

    Raises:
        InputError: If an argument cannot be used, or no photograph can be in a record.
    """
    out, source = Path(out), Path(predictions)
    require_known("--format", formats, _WRITERS)
    if DOCX in formats:
        require_docx()
    check_empty(out)
    known = _fields(fields or {})
    if not 0 <= details <= MOST_DETAILS:
        raise InputError(f"--details {details}: expected 0 to {MOST_DETAILS}")
    found = find_predictions(source, None if photos is None else Path(photos))
    if one_object and len(found) > MOST_TOGETHER:
        raise InputError(
            f"{source}: has {len(found)} photographs, and a record holds {MOST_TOGETHER}; put "
            "those of an object into a folder, or leave --one-object out"
        )
    names = list(dict.fromkeys(name for one in found.values() for name in one.ids))
    shown = Legend() if legend is None else read_legend(legend, names)
    made = _Photographs(source, shown, details)
    problems: list[str] = []
    files: list[Path] = []
    with ExitStack() as stack:
        folder = stack.enter_context(making_folder(out))
        report = stack.enter_context(bar("writing records"))
        together: dict[str, RecordPhotograph] = {}
        for number, one in enumerate(found.values(), start=1):
            try:
                photograph = made.photograph(one)
            except (InputError, OSError) as error:
                problems.append(system_message(error) if isinstance(error, OSError) else str(error))
            else:
                together[one.name] = photograph
                if not one_object:
                    record = _record(one.name, [one], [photograph], known, shown)
                    files += _write(record, folder, one.name, formats)
                    together.clear()
            if report:
                report(number, len(found))
        if one_object and together:
            ones = [found[name] for name in together]
            record = _record(source.resolve().name, ones, list(together.values()), known, shown)
            files += _write(record, folder, "record", formats)
        if not files:
            raise InputError("no record can be written", problems)
    return ConditionRecords(out, [out / file for file in files], problems)


def _fields(given: Mapping[str, str]) -> dict[str, str]:
    problems = [
        f"{label[:60]!r}: {text[:60]!r}"
        for label, text in given.items()
        if not label.strip() or not all(is_line(t, _MAX_FIELD) for t in (label, text))
    ]
    if problems:
        raise InputError(
            f"--object: expected LABEL=TEXT in a line of at most {_MAX_FIELD} characters", problems
        )
    return {label.strip(): text.strip() for label, text in given.items()}


class _Photographs:
    """Collects what records say of photographs.

    Args:
        source: Folder of the predictions.
        legend: For signs and words.
        details: Regions that are shown enlarged.
    """

    def __init__(self, source: Path, legend: Legend, details: int) -> None:
        self._legend, self._details = legend, details
        self._changes = read_changes(source)

    def photograph(self, one: Predicted) -> RecordPhotograph:
        """Returns what the record says of a photograph.

        Raises:
            InputError: If its files are missing or damaged.
        """
        record, legend = one.record, self._legend
        rows = read_regions(one.folder / record["files"]["regions"])
        if unknown := sorted({row["class"] for row in rows} - one.ids.keys()):
            raise InputError(f"{one.name}_regions.csv: has regions of {unknown[0]!r}, no class")
        width, height = one.size
        if any(x < 0 or y < 0 or w < 1 or h < 1 or x + w > width or y + h > height
               for x, y, w, h in (row["box"] for row in rows)):  # fmt: skip
            raise InputError(f"{one.name}_regions.csv: has regions outside of the photograph")
        signs = {name: legend.sign(name, color) for name, color in one.colors.items()}
        drawn = {name: LegendRow.of(signs[name]) for name, _ in found_damage(record)}
        pictures = record_pictures(one, signs, rows, chosen_regions(rows, self._details), legend)
        return RecordPhotograph(
            one.name,
            photograph_facts(record, legend),
            pictures.plain,
            pictures.found,
            list(drawn.values()),
            damage_rows(record, legend, drawn),
            pictures.details,
            unsure_facts(record, legend),
            unread_facts(record, legend),
            reviewer_changes(one.name, record, self._changes, legend),
        )


def _record(
    name: str,
    ones: Sequence[Predicted],
    photographs: Sequence[RecordPhotograph],
    fields: Mapping[str, str],
    legend: Legend,
) -> ConditionRecord:
    say, known = legend.text, dict(fields)

    def field(label: str) -> Pair:
        """Takes a field that was given, by its English or its own label; else it is empty."""
        for key in [*known]:
            if key.casefold() in (label.casefold(), say(label).casefold()):
                return say(label), known.pop(key)
        return say(label), ""

    head = [field(OBJECT), field(INVENTORY), field(INSTITUTION)]
    foot = [field(REVIEWER), field(DATE), field(SIGNATURE)]
    by = sorted({who for one in ones for who in one.reviewers})
    remark = say("Machine suggestion, to be reviewed by a conservator")
    if by and all("reviewed" in one.record for one in ones):
        remark = f"{say('Machine suggestion, corrected by')} {', '.join(by)}"
    return ConditionRecord(
        head[0][1] or name,
        remark,
        [*head, *known.items()],
        foot,
        photographs,
        f"{say('Made by')} mmseg_heritage {__version__}, {date.today().isoformat()}",
        legend,
    )


def _write(record: ConditionRecord, folder: Path, name: str, formats: Sequence[str]) -> list[Path]:
    """Writes a record; returns its files, below the folder."""
    files = [Path(f"{name}.{ending}") for ending in dict.fromkeys(formats)]
    for file, ending in zip(files, dict.fromkeys(formats), strict=True):
        _WRITERS[ending](folder / file, record)
    return files
