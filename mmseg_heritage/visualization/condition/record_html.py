"""A condition record as one HTML file: to read on any screen, to complete, and to print on A4."""

from __future__ import annotations

from pathlib import Path

from mmseg_heritage.utils.files import replacing
from mmseg_heritage.visualization.condition.record_content import (
    CHANGE_COLUMNS,
    DAMAGE_COLUMNS,
    ConditionRecord,
)
from mmseg_heritage.visualization.report.page import environment


def write_html(path: Path, record: ConditionRecord) -> None:
    """Writes a record; it has no script, loads nothing, and all text in it is escaped."""
    page = (
        environment()
        .get_template("condition.html")
        .render(
            record=record,
            t=record.legend.text,
            damage_columns=DAMAGE_COLUMNS,
            change_columns=CHANGE_COLUMNS,
        )
    )
    with replacing(path) as temporary:
        temporary.write_text(page, encoding="utf-8")
