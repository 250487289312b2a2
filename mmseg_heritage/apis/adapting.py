"""What adaptation to the images of a test gains or loses, beside the same model without it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mmseg_heritage.apis.comparing import write_comparison
from mmseg_heritage.domains import AdaptationHook
from mmseg_heritage.errors import InputError
from mmseg_heritage.evaluation.comparing.comparison import compare_entries
from mmseg_heritage.evaluation.store import load_counts
from mmseg_heritage.evaluation.summary import METRICS_FILE
from mmseg_heritage.evaluation.tested_runs import EVALUATION_FOLDER, Entry, read_run
from mmseg_heritage.taxonomy import clean_id
from mmseg_heritage.utils.files import is_unfinished, refuse_file, write_json

COMPARISON_FOLDER = "comparison"
SUMMARY_FILE = "adaptation.json"
SHOWN = ("mIoU", "damage_classes_mIoU", "damage_IoU", "binary_mIoU", "aAcc")
"""Scores of the short table."""


def adapted_name(adapt: Mapping[str, Any]) -> str:
    """Returns the name of the folder of an adapted test.

    Raises:
        InputError: If the settings cannot be used.
    """
    return f"adapted_{AdaptationHook(**adapt).settings.method}"


def check_adapted(plain: Path, name: str, overwrite: bool) -> None:
    """Refuses to replace the results of an earlier adapted test that nobody asked to replace."""
    refuse_file(plain / name)
    results = plain / name / EVALUATION_FOLDER
    is_left = is_unfinished(results) or is_unfinished(plain / EVALUATION_FOLDER)
    if not overwrite and (results / METRICS_FILE).exists() and not is_left:
        raise InputError(
            f"{results / METRICS_FILE}: results of an adaptation are already there; choose another "
            "--work-dir, or replace them with --overwrite"
        )


def compare_adapted(plain: Path, adapted: Path) -> dict[str, Any] | None:
    """Compares a test with the adapted test of the same checkpoint, image by image.

    Args:
        plain: Folder of the test.
        adapted: Folder of the adapted one; gets ``comparison/`` and :data:`SUMMARY_FILE`.

    Returns:
        What the file holds: 'scores', name -> 'source', 'adapted', and 'difference' with 'low' and
        'high' of its 95 % interval over source groups, in percent; 'predicted_clean', the share of
        labeled pixels that are predicted Clean in 'source' and 'adapted', and 'truth', in percent,
        None without such a class. None where a config has other metrics, which only log.
    """
    if not all((f / EVALUATION_FOLDER / METRICS_FILE).exists() for f in (plain, adapted)):
        return None
    names = ("source", adapted.name)
    entries = [Entry(n, (read_run(f),)) for n, f in zip(names, (plain, adapted), strict=True)]
    content = compare_entries(entries)
    write_comparison(adapted / COMPARISON_FOLDER, content)
    differences = content["differences"][adapted.name]["scores"]
    scores = {
        key: {
            "source": content["runs"]["source"]["scores"][key]["value"],
            "adapted": content["runs"][adapted.name]["scores"][key]["value"],
            **{part: differences[key][part] for part in ("difference", "low", "high")},
        }
        for key in SHOWN
        if key in differences
    }
    summary = {"scores": scores, "predicted_clean": _predicted_clean(plain, adapted)}
    write_json(adapted / SUMMARY_FILE, summary)
    return summary


def _predicted_clean(plain: Path, adapted: Path) -> dict[str, float] | None:
    """Returns how much of the labeled pixels is called Clean, in percent."""
    tests = [load_counts(f / EVALUATION_FOLDER / "per_image.npz") for f in (plain, adapted)]
    clean = clean_id(tests[0].classes)
    if clean is None:
        return None
    totals = [counts.confusion.sum(axis=0) for counts in tests]
    found = {
        "source": totals[0][:, clean],
        "adapted": totals[1][:, clean],
        "truth": totals[0][clean],
    }
    return {name: float(100 * part.sum() / totals[0].sum()) for name, part in found.items()}
