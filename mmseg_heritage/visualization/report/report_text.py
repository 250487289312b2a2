"""What a report says in words: the headline scores and what they mean, and what was found."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mmseg_heritage.evaluation.baseline import no_better_than_clean
from mmseg_heritage.evaluation.comparing.comparison_tables import verdict
from mmseg_heritage.utils.tables import plain_table

_MEANINGS = {
    "damage_IoU": (
        "Damage or not",
        "Overlap of all predicted with all labeled damage, whatever its class: shared pixels in "
        "percent of the pixels that either of the two marks.",
    ),
    "mIoU": (
        "Kinds of damage",
        "The same overlap for each class, averaged over {classes} classes. A class that is never "
        "found counts 0.",
    ),
    "supported_mIoU": (
        "Well-tested kinds",
        "The same mean over the classes that enough different objects show. The steadiest number "
        "to compare models by.",
    ),
    "coarse_mIoU": (
        "Groups of damage",
        "Overlap after merging classes into structural, surface, color and addition, on damaged "
        "pixels.",
    ),
    "image_mIoU": (
        "An average image",
        "Each image scored by itself, then averaged, so that a large photograph counts no more "
        "than a small one.",
    ),
    "worst_decile_mIoU": (
        "The worst tenth",
        "The same, over the tenth of the images with the lowest scores.",
    ),
    "boundary_mF1": (
        "Outlines",
        "How well the outlines of the damage agree, within a small tolerance.",
    ),
    "mclDice": (
        "Center lines",
        "How much of the length of cracks, hair and scratches is found, and how much of what was "
        "found is there, whatever its width.",
    ),
    "ECE": (
        "Confidence error",
        "How far the model's stated confidence is from how often it is right. Lower is better.",
    ),
}


_COMPARED = ("damage_IoU", "mIoU", "supported_mIoU")


@dataclass(frozen=True)
class Headline:
    """A score with its name, its meaning, and that of calling everything Clean beside it."""

    key: str
    title: str
    meaning: str
    value: float
    low: float | None
    high: float | None
    all_clean: float | None


def headlines(content: Mapping[str, Any]) -> list[Headline]:
    """Returns the scores that a reader should see first.

    Args:
        content: Content of ``metrics.json``.
    """
    found = []
    for key, (title, meaning) in _MEANINGS.items():
        value = content["overall"].get(key)
        if value is not None:
            ends = content["intervals"].get(key, {})
            text = meaning.format(classes=content["overall"]["classes_in_mean"])
            clean = (content["all_clean"] or {}).get(key)
            found.append(
                Headline(key, title, text, value, ends.get("low"), ends.get("high"), clean)
            )
    return found


def findings(content: Mapping[str, Any]) -> list[str]:
    """Says in sentences what a run finds and misses.

    Args:
        content: Content of ``metrics.json``.
    """
    sentences = [line for line in [no_better_than_clean(content)] if line]
    damage = content["levels"].get("binary", {}).get("per_class", {}).get("Damage", {})
    if damage.get("recall") is not None and damage.get("precision") is not None:
        sentences.append(
            f"The model marks {damage['recall']:.0f} % of the pixels that are labeled as damage. "
            f"Of the pixels that it marks, {damage['precision']:.0f} % are labeled as damage."
        )
    rows = content["levels"]["fine"]["per_class"]
    missed = [name for name, row in rows.items() if row["support_pixels"] and not row["iou"]]
    if missed:
        sentences.append(never_found(missed))
    few = [name for name, row in rows.items() if row["support_pixels"] and not row["supported"]]
    if few:
        sentences.append(f"Shown by so few objects that the score says little: {', '.join(few)}.")
    absent = [name for name, row in rows.items() if not row["support_pixels"]]
    if absent:
        sentences.append(f"Not in the labels, so not tested: {', '.join(absent)}.")
    return sentences


def console_summary(content: Mapping[str, Any], title: str) -> str:
    """Sets the main scores beside those of calling everything Clean, and says what is missed.

    Args:
        content: Content of ``metrics.json``.
        title: Of the first column.
    """
    return "\n".join([_score_table(content, title), *findings(content)])


def validation_summary(content: Mapping[str, Any], title: str) -> str:
    """Does the same for a validation, of which :func:`scores_beside_clean` tells.

    Args:
        content: See :func:`mmseg_heritage.evaluation.baseline.scores_beside_clean`.
        title: Of the first column.
    """
    lines = [_score_table(content, title), no_better_than_clean(content)]
    if content["never_found"]:
        lines.append(never_found(content["never_found"]))
    return "\n".join(filter(None, lines))


def never_found(names: Sequence[str]) -> str:
    """Says which classes a model has missed altogether."""
    return f"Never found, although the labels show it: {', '.join(names)}."


def _score_table(content: Mapping[str, Any], title: str) -> str:
    """Lays out the main scores, and those of calling every pixel Clean, as a table."""
    parts = ["overall", *(["all_clean"] if content["all_clean"] else [])]
    rows = [
        [key, *(_percent(content[part].get(key)) for part in parts)]
        for key in ("damage_IoU", "binary_mIoU", "mIoU", "mclDice")
        if content["overall"].get(key) is not None
    ]
    return plain_table([title, "model", "all Clean"][: 1 + len(parts)], rows)


def _percent(value: float | None) -> str:
    return "" if value is None else f"{value:.1f}"


def compared_findings(content: Mapping[str, Any]) -> list[str]:
    """Says in sentences which runs can be told apart by the main scores.

    Args:
        content: What :func:`mmseg_heritage.evaluation.comparing.comparison.compare_entries`
            returns.
    """
    return [
        _compared(label, content["reference"], key, found["scores"][key])
        for label, found in content["differences"].items()
        for key in _COMPARED
        if key in found["scores"]
    ]


def _compared(label: str, reference: str, key: str, entry: Mapping[str, Any]) -> str:
    outcome, key = verdict(entry), f"{_MEANINGS[key][0]} ({key})"
    if outcome == "undefined":
        return f"{key}: {label} and {reference} have no such score in common."
    if outcome == "too few groups":
        return f"{key}: {label} and {reference} are {_NOT[outcome]}."
    points = f"{entry['difference']:+.1f} points"
    if entry["low"] is not None:
        points += f" [{entry['low']:+.1f}, {entry['high']:+.1f}]"
    if outcome in ("higher", "lower"):
        return f"{key}: {label} is {outcome} than {reference} by {points}."
    return f"{key}: {label} and {reference} are {_NOT[outcome]}: {points}."


_NOT = {
    "not separable": "not separable (these images do not tell them apart)",
    "too few groups": "not compared, because too few objects were tested",
}


def plain_definitions(content: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yields name and text of all definitions, of nested ones too, each name once."""
    seen = set()
    for key, value in content.items():
        pairs = plain_definitions(value) if isinstance(value, Mapping) else [(key, str(value))]
        for name, text in pairs:
            if name not in seen:
                seen.add(name)
                yield name, text
