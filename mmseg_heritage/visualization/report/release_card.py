"""The model card of a file that is given to others, as Markdown.

After Mitchell et al., "Model Cards for Model Reporting", FAT* 2019. What a tested run's report says
is in :mod:`mmseg_heritage.visualization.report.model_card`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mmseg_heritage.version import __version__

_SCORES = {
    "damage_IoU": "IoU of all damage against the rest",
    "binary_mIoU": "mean IoU of Clean and Damage",
    "mIoU": "mean IoU of the classes",
}
_NOT_STATED = "not stated by whoever exported the file; ask before you publish or sell with it"
_USE = """\
Suggestions of where damage is on photographs of heritage objects, by class, with a confidence, to
be reviewed by a conservator: finding places to look at, measuring areas and lengths after review,
documenting states. Not for decisions without a person who looks at the object, not for
authenticity, dating or value, and not for photographs of people."""
_LIMITS = (
    "It sees what a photograph shows: none behind varnish, glare, a frame or too little light.",
    "Confidence is that of the model, which was trained on few materials; on others it may be sure "
    "and wrong.",
    "Lines thinner than about a pixel at the size at which the network sees a photograph are lost.",
    "Scores are those of its own validation images; on other collections expect less.",
)


@dataclass(frozen=True)
class ReleasedModel:
    """What the card says.

    Attributes:
        name: Of the file.
        format: 'onnx' or 'weights'.
        size: Of the file in bytes.
        sha256: Of the file.
        origin_sha256: Of the checkpoint it was made of.
        config: Name of the config that was trained.
        backbone: Name.
        decode_head: Name.
        parameters: Number of weights.
        classes: Names.
        kinds: What each is measured by.
        levels: Names of the levels above the classes.
        validation: See :func:`mmseg_heritage.evaluation.baseline.scores_beside_clean`.
        knows_training: Whether it flags photographs unlike its training.
        is_calibrated: Whether its confidence was calibrated.
        licenses: Of 'weights' and 'data'; None where they are not stated.
    """

    name: str
    format: str
    size: int
    sha256: str
    origin_sha256: str
    config: str
    backbone: str
    decode_head: str
    parameters: int
    classes: Sequence[str]
    kinds: Sequence[str]
    levels: Sequence[str]
    validation: Mapping[str, Any]
    knows_training: bool
    is_calibrated: bool
    licenses: Mapping[str, str | None]


def release_card(model: ReleasedModel, remarks: Sequence[str] = ()) -> str:
    """Returns the card as Markdown.

    Args:
        model: What is known.
        remarks: What the file does without.
    """
    facts = [
        ("file", f"{model.name}, {model.size / 1e6:.1f} MB"),
        ("SHA-256", model.sha256),
        ("made of the checkpoint, SHA-256", model.origin_sha256),
        ("config", model.config or "not recorded"),
        ("backbone, decode head", f"{model.backbone}, {model.decode_head}"),
        ("parameters", f"{model.parameters / 1e6:.2f} million"),
        ("license of the weights", model.licenses.get("weights") or _NOT_STATED),
        ("license of the training data", model.licenses.get("data") or _NOT_STATED),
        ("confidence calibrated", "yes" if model.is_calibrated else "no"),
        ("flags photographs unlike its training", "yes" if model.knows_training else "no"),
        ("levels above the classes", ", ".join(model.levels) or "none"),
        ("written by", f"mmseg_heritage {__version__}"),
    ]
    needs = "onnxruntime, no torch" if model.format == "onnx" else "torch and mmsegmentation"
    classes = [[name, kind] for name, kind in zip(model.classes, model.kinds, strict=True)]
    limits = [*_LIMITS, *(remark[0].upper() + remark[1:] + "." for remark in remarks)]
    parts = [
        f"# Model card: {_cell(model.name)}",
        _table(["", ""], [list(fact) for fact in facts]),
        f"## Use\n\n{_USE}\n\nIt needs mmseg_heritage with {needs}:\n\n"
        f"    mmseg-heritage predict {model.name} PHOTOS --out DIR",
        f"## Scores\n\n{_scores(model.validation)}",
        "## Limits\n\n" + "\n".join(f"- {limit}" for limit in limits),
        "## Classes\n\n" + _table(["class", "measured by"], classes),
    ]
    return "\n\n".join(parts) + "\n"


def _scores(validation: Mapping[str, Any]) -> str:
    overall, clean = validation.get("overall") or {}, validation.get("all_clean") or {}
    rows = [
        [name, f"{overall[key]:.1f}", f"{clean[key]:.1f}" if key in clean else "-"]
        for key, name in _SCORES.items()
        if key in overall
    ]
    if not rows:
        return "None are recorded with these weights: test them before you rely on them."
    text = "Of the validation images of its training, in percent, beside those of calling every "
    text += "pixel Clean.\n\n" + _table(["score", "model", "everything Clean"], rows)
    if never := validation.get("never_found"):
        text += f"\n\nNever found rightly: {', '.join(map(_cell, never))}."
    return text


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(map(_cell, line)) + " |" for line in lines)


def _cell(text: str) -> str:
    """Returns text of others as Markdown that stays in its cell."""
    shown = "".join(letter if letter.isprintable() else "?" for letter in text)
    for letter in "\\|<>`*[]":
        shown = shown.replace(letter, "\\" + letter)
    return shown
