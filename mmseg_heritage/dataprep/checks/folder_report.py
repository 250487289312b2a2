"""The report of a checked data set, for people as tables and for programs as JSON."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mmseg_heritage.dataprep.checks.faults import KINDS, Fault
from mmseg_heritage.dataprep.checks.folder_check import CheckReport
from mmseg_heritage.dataprep.layout import Sample
from mmseg_heritage.taxonomy import IGNORE_INDEX
from mmseg_heritage.utils.tables import plain_table
from mmseg_heritage.utils.text import counted
from mmseg_heritage.version import __version__

SCHEMA = "mmseg_heritage/check/1"
SHOWN = 5
"""Faults of each kind that the text lists; the JSON has all."""

_OUTSIDE = "outside the object"
_DOMAINS = ("material", "content")


def report_json(report: CheckReport, strict: bool = False) -> dict[str, Any]:
    """Returns the whole report; files are named relative to the root of the data set.

    Args:
        report: What was found.
        strict: Whether warnings count as faults in ``passed``.
    """
    return {
        "schema": SCHEMA,
        "version": __version__,
        "root": str(report.root),
        "strict": strict,
        "passed": report.passed(strict),
        "num_faults": report.count("fault"),
        "num_warnings": report.count("warning"),
        "num_images": report.num_images,
        "num_annotations": report.num_annotations,
        "num_samples": len(report.samples),
        "num_masks_counted": len(report.class_pixels),
        "kinds": {kind: len(faults) for kind, faults in _by_kind(report)},
        "faults": [_fault_json(report, fault) for fault in report.faults],
        "classes": _classes_json(report, report.samples),
        **{f"{domain}s": _domain_json(report, domain) for domain in _DOMAINS},
    }


def report_text(report: CheckReport, strict: bool = False, shown: int = SHOWN) -> str:
    """Returns what the terminal shows.

    Args:
        report: What was found.
        strict: Whether warnings count as faults in the last line.
        shown: How many faults of each kind are listed.
    """
    parts = [
        f"{report.root}: {report.num_images} images, {report.num_annotations} annotations, "
        f"{len(report.samples)} pairs"
    ]
    parts.append(_class_table(report))
    parts += [_domain_table(report, domain) for domain in _DOMAINS if report.has_metadata]
    for kind, faults in _by_kind(report):
        lines = [f"{KINDS[kind].severity} ({len(faults)}): {KINDS[kind].title}"]
        lines += [f"  - {_relative(report, fault)}" for fault in faults[:shown]]
        if len(faults) > shown:
            lines.append(f"  ... and {len(faults) - shown} more; --json FILE lists all")
        parts.append("\n".join(lines))
    if report.faults:
        parts.append(_kind_table(report))
    parts.append(_verdict(report, strict))
    return "\n\n".join(parts)


def _by_kind(report: CheckReport) -> Iterator[tuple[str, list[Fault]]]:
    for kind in KINDS:
        if faults := [fault for fault in report.faults if fault.kind == kind]:
            yield kind, faults


def _inside(report: CheckReport, path: Path) -> str:
    """Returns the name of a file from the root of the data set on."""
    return Path(os.path.relpath(path, report.root)).as_posix()


def _relative(report: CheckReport, fault: Fault) -> str:
    return str(fault).replace(str(fault.file), _inside(report, fault.file), 1)


def _fault_json(report: CheckReport, fault: Fault) -> dict[str, Any]:
    return {
        "kind": fault.kind,
        "severity": KINDS[fault.kind].severity,
        "file": _inside(report, fault.file),
        "line": fault.line,
        "message": fault.message,
        "others": [_inside(report, path) for path in fault.others],
        "values": {str(value): number for value, number in fault.values.items()},
    }


def _counts(report: CheckReport, samples: Iterable[Sample]) -> NDArray[np.int64]:
    """Returns the class pixels of the sound masks, shape (masks, classes + 1)."""
    counts = [report.class_pixels[s.id] for s in samples if s.id in report.class_pixels]
    return np.array(counts, dtype=np.int64).reshape(-1, len(report.classes.ids) + 1)


def _columns(report: CheckReport) -> list[tuple[int, str]]:
    """Returns id and name of what :func:`_counts` counts."""
    return [*((c.id, c.name) for c in report.classes.classes), (IGNORE_INDEX, _OUTSIDE)]


def _classes_json(report: CheckReport, samples: Sequence[Sample]) -> list[dict[str, Any]]:
    counts = _counts(report, samples)
    return [
        {"id": id_, "name": name, "pixels": int(pixels), "images": int(images)}
        for (id_, name), pixels, images in zip(
            _columns(report), counts.sum(axis=0), np.count_nonzero(counts, axis=0), strict=True
        )
    ]


def _by_domain(report: CheckReport, domain: str) -> dict[str, list[Sample]]:
    """Returns the samples of each material or content; those without one are under ""."""
    names = sorted({getattr(sample, domain) for sample in report.samples})
    return {n: [s for s in report.samples if getattr(s, domain) == n] for n in names}


def _domain_json(report: CheckReport, domain: str) -> dict[str, Any]:
    return {
        name: {"images": len(samples), "classes": _classes_json(report, samples)}
        for name, samples in _by_domain(report, domain).items()
    }


def _class_table(report: CheckReport) -> str:
    counts = _counts(report, report.samples)
    totals = counts.sum(axis=0)
    labeled = max(1, int(totals[:-1].sum()))
    rows = [
        (
            id_,
            name,
            f"{total:,}",
            f"{100 * total / labeled:.4f}" if id_ != IGNORE_INDEX else "-",
            n,
        )
        for (id_, name), total, n in zip(
            _columns(report), totals, np.count_nonzero(counts, axis=0), strict=True
        )
    ]
    return plain_table(("id", "class", "pixels", "% of labeled", "images"), rows, labels=2)


def _domain_table(report: CheckReport, domain: str) -> str:
    """Returns images, labeled pixels, the share of damage and the classes of each domain."""
    clean, ids = report.classes.clean, np.array(report.classes.ids)
    rows = []
    for name, samples in _by_domain(report, domain).items():
        counts = _counts(report, samples)[:, :-1].sum(axis=0)
        labeled = int(counts.sum())
        known = labeled and clean is not None
        damaged = f"{100 * (1 - counts[clean] / labeled):.2f}" if known else "-"
        present = " ".join(map(str, ids[counts > 0]))
        rows.append((name or "(none)", len(samples), f"{labeled:,}", damaged, present))
    return plain_table((domain, "images", "labeled pixels", "% damaged", "classes"), rows)


def _kind_table(report: CheckReport) -> str:
    rows = [
        (KINDS[kind].severity, kind, len(faults), KINDS[kind].title)
        for kind, faults in _by_kind(report)
    ]
    return plain_table(("severity", "kind", "number", "what it means"), rows, labels=4)


def _verdict(report: CheckReport, strict: bool) -> str:
    faults, warnings = report.count("fault"), report.count("warning")
    verdict = "passed" if report.passed(strict) else "FAILED"
    text = f"{verdict}: {counted(faults, 'fault')}, {counted(warnings, 'warning')}"
    return f"{text} (--strict: warnings count as faults)" if strict and warnings else text
