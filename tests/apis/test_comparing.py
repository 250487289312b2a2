"""What a comparison leaves in its folder, and what it refuses."""

import csv
import json

import pytest

from mmseg_heritage.apis.comparing import FIGURES, FILES, compare
from mmseg_heritage.errors import InputError


@pytest.fixture
def runs(tmp_path, random_counts, another_model, tested_run):
    """Two runs that were tested alike."""
    counts = random_counts(images=24)
    time = {"images_per_second": 10.0, "model_ms": 100.0}
    return [
        str(tested_run(tmp_path / "a_1", counts, time=time)),
        str(tested_run(tmp_path / "b", another_model(counts, gain=0.5), seed=1)),
    ]


def _names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_all_formats_tell_the_same(runs, tmp_path):
    out = tmp_path / "new" / "out"
    content = compare(runs, out=out, resamples=640)
    assert _names(out) == sorted([*FILES, *FIGURES])
    assert json.loads((out / "compare.json").read_text()) == content
    with (out / "compare.csv").open(newline="") as file:
        rows = {(row["run"], row["score"]): row for row in csv.DictReader(file)}
    gain = content["differences"]["b"]["scores"]["mIoU"]
    assert float(rows["b", "mIoU"]["difference"]) == gain["difference"]
    assert rows["b", "mIoU"]["verdict"] == "higher"
    shown = f"{gain['difference']:+.1f} [{gain['low']:+.1f}, {gain['high']:+.1f}]"
    assert shown in (out / "compare.md").read_text()
    assert shown in (out / "compare.tex").read_text()
    assert r"a\_1" in (out / "compare.tex").read_text()


def test_an_earlier_comparison_is_only_replaced_when_asked_to(runs, tmp_path):
    out = tmp_path / "out"
    compare(runs, out=out, resamples=640)
    (out / "mine.txt").write_text("kept")
    before = {path: path.read_bytes() for path in out.iterdir()}
    with pytest.raises(InputError, match="replace it with --overwrite") as raised:
        compare(runs, out=out)
    assert len(raised.value.problems) == len(FILES) + len(FIGURES)
    assert {path: path.read_bytes() for path in out.iterdir()} == before
    compare(runs[1:], out=out, overwrite=True)
    # A lone run without a speed has only this figure; those of the earlier comparison are gone.
    assert _names(out) == sorted([*FILES, "class_iou.png", "mine.txt"])


def test_what_cannot_be_compared_leaves_nothing(runs, tmp_path, random_counts, tested_run):
    other = tested_run(tmp_path / "c", random_counts(images=24), split="other")
    with pytest.raises(InputError, match="--allow-different splits"):
        compare([*runs, str(other)], out=tmp_path / "out")
    assert not (tmp_path / "out").exists()
    content = compare([*runs, str(other)], allow_different=["splits"])
    assert any("split other" in note for note in content["notes"])


def test_a_file_is_no_folder_to_write_to(runs, tmp_path):
    (tmp_path / "out").write_text("mine")
    with pytest.raises(InputError, match="expected a folder to write to, found a file"):
        compare(runs, out=tmp_path / "out", overwrite=True)
    assert (tmp_path / "out").read_text() == "mine"


def test_the_seed_decides(runs):
    first, again, other = (compare(runs, seed=seed) for seed in (1, 1, 2))
    assert first == again
    assert first["runs"]["b"]["scores"] != other["runs"]["b"]["scores"]
