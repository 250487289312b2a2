"""Scalars as a table."""

import csv

import pytest
import torch

pytest.importorskip("mmseg")

import mmseg_heritage.plugin  # noqa: F401

# isort: split
from mmseg.registry import VISBACKENDS


def test_every_scalar_is_a_row_and_rows_are_appended(tmp_path):
    for _ in range(2):
        backend = VISBACKENDS.build({"type": "CsvVisBackend", "save_dir": str(tmp_path / "new")})
        backend.add_config(None)
        backend.add_scalar("loss", torch.tensor(0.5), step=1)
        backend.add_scalars({"loss": 0.25, "IoU.Dust, dirt": 3, "step": 7}, step=2)
    with (tmp_path / "new" / "scalars.csv").open(newline="") as stream:
        rows = list(csv.reader(stream))
    once = [["1", "loss", "0.5"], ["7", "loss", "0.25"], ["7", "IoU.Dust, dirt", "3"]]
    assert rows == [["step", "name", "value"], *once, *once]


def test_a_run_writes_it_beside_the_json(tiny_run):
    [table] = tiny_run.folder.glob("*/vis_data/scalars.csv")
    with table.open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert {row["step"] for row in rows} == {"1", "2", "3"}
    assert {"mIoU", "IoU.Cracks"} <= {row["name"] for row in rows}
    assert (table.parent / "scalars.json").is_file()
