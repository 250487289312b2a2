"""The report of a run or of a comparison: one HTML file that needs nothing else.

Names come from data and are escaped. The page's own script is the only one that its content
security policy lets run, and nothing is loaded from anywhere.
"""

from __future__ import annotations

import base64
import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from mmseg_heritage.evaluation.comparing.comparison_tables import comparison_tables
from mmseg_heritage.evaluation.score_tables import Cell, Estimate, Table
from mmseg_heritage.evaluation.store import Counts
from mmseg_heritage.evaluation.tested_runs import Entry, Run
from mmseg_heritage.taxonomy import ARTEFACT, FINE_LEVEL, are_artefact, hex_color
from mmseg_heritage.version import __version__
from mmseg_heritage.visualization.figures.display_colors import display_palette
from mmseg_heritage.visualization.report.model_card import Facts, model_card
from mmseg_heritage.visualization.report.report_figures import (
    Picture,
    comparison_figures,
    run_figures,
)
from mmseg_heritage.visualization.report.report_pictures import MAX_PANELS, inline_panels
from mmseg_heritage.visualization.report.report_tables import (
    by_table,
    component_table,
    detail_table,
    image_table,
    level_table,
)
from mmseg_heritage.visualization.report.report_text import (
    Headline,
    compared_findings,
    findings,
    headlines,
    plain_definitions,
)

_GALLERY = 2
_MATERIAL_LOSS = ARTEFACT.names[1]
_LEVEL_CAPTIONS = {FINE_LEVEL: "Classes", "coarse": "Groups of damage", "binary": "Damage or not"}


@dataclass(frozen=True)
class View:
    """One image in one run: the panel as a data URI or None, and its classes."""

    label: str
    panel: str | None
    table: Table


@dataclass(frozen=True)
class Page:
    """What a report shows.

    Attributes:
        title: Name of the run or runs.
        kind: 'Test of a model' or 'Comparison of models'.
        tested: What was tested, in a few words.
        notes: What a reader must know first.
        findings: What came out, in sentences.
        headlines: Main scores of a single run.
        tables: Of scores.
        figures: Of scores.
        images: Every tested image; its first column names it.
        views: Image id -> how each run did on it.
        gallery: Of a single run: heading -> ids of images whose panels are shown at once.
        cards: Label -> what is known of the run.
        definitions: Name and text.
        swatches: Class or group -> color.
        material_loss: Whether the caveat of that class applies.
    """

    title: str
    kind: str
    tested: str
    notes: Sequence[str]
    findings: Sequence[str]
    headlines: Sequence[Headline]
    tables: Sequence[Table]
    figures: Sequence[Picture]
    images: Table
    views: Mapping[str, Sequence[View]]
    gallery: Mapping[str, Sequence[str]]
    cards: Mapping[str, Sequence[Facts]]
    definitions: Sequence[tuple[str, str]]
    swatches: Mapping[str, str]
    material_loss: bool


def run_page(
    label: str, run: Run, content: Mapping[str, Any], panels: Sequence[Mapping[str, Path]] = ()
) -> Page:
    """Collects the report of one run.

    Args:
        label: Its name.
        run: What was tested.
        content: Content of its ``metrics.json``.
        panels: Of the run, image id -> picture of input, truth and prediction; empty without any.

    Raises:
        InputError: If pictures or logs cannot be read.
    """
    counts = run.counts
    images = image_table({label: counts})
    views, notes = _views({label: counts}, panels, images)
    if run.not_tested:
        notes.insert(0, f"Folds without a test: {', '.join(run.not_tested)}.")
    tables = [
        level_table(content, name, _LEVEL_CAPTIONS.get(name, name.replace("_", " ")))
        for name in content["levels"]
    ]
    tables += [by_table(content, key) for key in ("material", "content") if content[f"by_{key}"]]
    if content["components"]:
        tables.append(component_table(content))
    scored = [str(row["image"]) for row in images.rows if row["run 0"] is not None]
    return Page(
        title=label,
        kind="Test of a model",
        tested=_tested(run),
        notes=notes,
        findings=findings(content),
        headlines=headlines(content),
        tables=tables,
        figures=run_figures(run, content),
        images=images,
        views=views,
        gallery=_gallery([name for name in scored if name in views and views[name][0].panel]),
        cards={label: model_card(run)},
        definitions=list(plain_definitions(content["definitions"])),
        swatches=_swatches([counts]),
        material_loss=_has_material_loss(counts),
    )


def comparison_page(
    entries: Sequence[Entry],
    content: Mapping[str, Any],
    panels: Sequence[Mapping[str, Path]] = (),
) -> Page:
    """Collects the report of several runs.

    Args:
        entries: What is compared.
        content: What :func:`mmseg_heritage.evaluation.comparing.comparison.compare_entries` says of
            them.
        panels: Of each entry, image id -> picture; empty without any.

    Raises:
        InputError: If pictures cannot be read.
    """
    counts = {entry.label: entry.counts for entry in entries}
    images = image_table(counts)
    views, notes = _views(counts, panels, images)
    cards = {}
    for entry in entries:
        for place, run in enumerate(entry.runs, start=1):
            several = f", run {place} of {len(entry.runs)}" if len(entry.runs) > 1 else ""
            cards[f"{entry.label}{several}"] = model_card(run)
    return Page(
        title=" / ".join(counts),
        kind="Comparison of models",
        tested=_tested(entries[0].runs[0]),
        notes=[*content["notes"], *notes],
        findings=compared_findings(content),
        headlines=(),
        tables=comparison_tables(content),
        figures=comparison_figures(content),
        images=images,
        views=views,
        gallery={},
        cards=cards,
        definitions=list(plain_definitions(content["definitions"])),
        swatches=_swatches(list(counts.values())),
        material_loss=any(map(_has_material_loss, counts.values())),
    )


def environment() -> Environment:
    """Returns what makes HTML of the templates of this folder; all text is escaped."""
    made = Environment(
        loader=PackageLoader("mmseg_heritage.visualization.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters |= {"sort_key": _sort_key, "share": _share, "hex": hex_color}
    return made


def render(page: Page) -> str:
    """Returns a page as HTML."""
    opened = {name: place for place, name in enumerate(page.views)}
    return render_template("report.html", page=page, opened=opened)


def render_template(name: str, script_file: str = "report.js", **values: Any) -> str:
    """Returns a template of this folder with values, the page's script, version and date."""
    templates = environment()
    script = templates.get_template(script_file).render()
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode("ascii")
    return templates.get_template(name).render(
        **values,
        script=script,
        script_hash=f"sha256-{digest}",
        version=__version__,
        date=date.today().isoformat(),
    )


def _tested(run: Run) -> str:
    counts = run.counts
    images, groups = len(counts.ids), len(set(counts.groups))
    return (
        f"{images:,} images of {groups:,} source groups, part {', '.join(run.parts())} of the "
        f"split {run.split_names()}"
    )


def _views(
    counts: Mapping[str, Counts], panels: Sequence[Mapping[str, Path]], images: Table
) -> tuple[dict[str, list[View]], list[str]]:
    """Returns how each run did on each image, and remarks on missing pictures."""
    order = [str(row["image"]) for row in images.rows]
    inlined = inline_panels(panels, order)
    views: dict[str, list[View]] = {name: [] for name in order}
    notes = []
    for place, (label, of_run) in enumerate(counts.items()):
        shown = inlined[place] if place < len(inlined) else {}
        for i, name in enumerate(of_run.ids):
            views[name].append(View(label, shown.get(name), detail_table(of_run, i)))
        missing = len(of_run.ids) - len(shown)
        if panels and missing:
            over = len(order) * len(panels) > MAX_PANELS
            limit = f" (a report holds {MAX_PANELS} pictures at most)" if over else ""
            notes.append(
                f"{label}: {missing:,} of {len(of_run.ids):,} images are without a picture{limit}."
            )
    if not panels:
        notes.append(
            "Without pictures of the images. To have them, test with --show-dir DIR, and make the "
            "report with --pictures DIR."
        )
    return views, notes


def _gallery(ranked: Sequence[str]) -> dict[str, list[str]]:
    """Chooses images by rank: the lowest scores, those around the middle, the highest."""
    if len(ranked) < 3 * _GALLERY:
        return {"By score, the lowest first": list(ranked)} if ranked else {}
    middle = (len(ranked) - _GALLERY) // 2
    return {
        "The lowest scores": list(ranked[:_GALLERY]),
        "The middle": list(ranked[middle : middle + _GALLERY]),
        "The highest scores": list(ranked[-_GALLERY:]),
    }


def _has_material_loss(counts: Counts) -> bool:
    """Whether ARTeFACT's class Material loss is among the classes, and not an own one."""
    return _MATERIAL_LOSS in counts.classes and are_artefact(counts.classes)


def _swatches(counts: Sequence[Counts]) -> dict[str, str]:
    """Returns the colors of classes and groups as CSS."""
    colors: dict[str, Sequence[int]] = {}
    for of_run in counts:
        for level in of_run.levels.values():
            colors |= dict(zip(level.classes, level.colors, strict=True))
        shown = display_palette(of_run.classes, of_run.palette.tolist())
        colors |= dict(zip(of_run.classes, shown, strict=True))
    return {name: hex_color(rgb) for name, rgb in colors.items()}


def _sort_key(cell: Cell) -> str | float:
    """Returns what a cell is sorted by; nothing sorts last."""
    if isinstance(cell, Estimate):
        cell = cell.value
    return "" if cell is None else cell


def _share(cell: Cell) -> float | None:
    """Returns where a score with an interval is between 0 and 100, None for anything else."""
    value = cell.value if isinstance(cell, Estimate) else None
    return None if value is None or math.isnan(value) else min(max(value, 0.0), 100.0)
