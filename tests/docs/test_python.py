"""The Python on the how-to pages runs as it is printed, from the first block to the last."""

import re
import shutil
from pathlib import Path

import pytest

pytest.importorskip("mmseg")

HOW_TO = Path(__file__).resolve().parents[2] / "docs" / "how-to"
if not HOW_TO.is_dir():
    pytest.skip("runs from a source tree", allow_module_level=True)


def blocks(page):
    text = (HOW_TO / f"{page}.md").read_text(encoding="utf-8")
    return re.findall(r"```python\n(.*?)```", text, re.DOTALL)


@pytest.fixture
def folder_of_user(tiny_config, tiny_run, sample_set, tmp_path, monkeypatch):
    """Current folder with what the pages name, at its smallest: a config, a run and its data."""
    run = tmp_path / "work_dirs" / "quickstart"
    run.mkdir(parents=True)
    shutil.copy(tiny_run.checkpoint, run / "epoch_40.pth")
    shutil.copy(tiny_run.folder / "tiny.py", run / "quickstart_artefact.py")
    (tmp_path / "configs").mkdir()
    (tmp_path / "configs" / "quickstart_artefact.py").write_text(
        f"_base_ = [{str(tiny_config)!r}]\ntrain_cfg = dict(max_epochs=1, val_interval=1)\n"
    )
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "sample").symlink_to(sample_set)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.slow
def test_the_page_on_python(folder_of_user):
    names = {}
    for block in blocks("python"):
        exec(block, names)
    maps = {path.stem for path in (folder_of_user / "damage_maps").glob("*.json")} - {"run"}
    assert maps == {path.stem for path in (folder_of_user / "data/sample/images").iterdir()}
    assert names["metrics"] == folder_of_user / "work_dirs/seed-2/evaluation/metrics.json"
    assert names["comparison"]["reference"] == "seed-1"


def test_the_page_on_mmseg_tools(folder_of_user):
    names = {}
    for block in blocks("mmseg-tools"):
        exec(block, names)
    height, width = names["found"]["predictions"].shape
    assert names["result"].pred_sem_seg.data.shape == (1, height, width)
    assert (folder_of_user / "work_dirs/stock/epoch_1.pth").is_file()
