"""From painted masks to a data set, a config, and a first training."""

from __future__ import annotations

import re

import cv2
import numpy as np
import pytest
from mmengine.config import Config
from PIL import Image

from mmseg_heritage.apis.training import train
from mmseg_heritage.cli import main
from mmseg_heritage.dataprep.layout import read_folder
from mmseg_heritage.errors import InputError


@pytest.fixture
def folder(tmp_path):
    """Eight photographs with painted masks of three classes beside them."""
    root = tmp_path / "Fresken 2024"
    root.mkdir()
    for i in range(8):
        generator = np.random.default_rng(i)
        noise = generator.integers(0, 256, (8, 10, 3), dtype=np.uint8)
        Image.fromarray(cv2.resize(noise, (160, 120))).save(root / f"Wand {i}.jpg")
        mask = np.zeros((120, 160, 3), np.uint8)
        cv2.circle(mask, (40, 40 + i), 20, (255, 0, 0), -1)
        cv2.line(mask, (0, 100), (159, 90), (0, 0, 255), 3)
        Image.fromarray(mask).save(root / f"Wand {i}_mask.png")
    return root


def test_two_commands_from_painted_masks_to_a_model(folder, tmp_path, capsys):
    project = tmp_path / "project"
    names = ["--names", "#ff0000=Mold", "#0000FF=Cracks"]
    assert main(["init", str(folder), *names, "--out", str(project), "--yes"]) == 0
    printed = capsys.readouterr().out
    assert "found  8 photographs with a mask" in printed
    assert re.search(r"#ff0000 +Mold +6\.\d+ +8", printed)
    assert re.search(r"parts  \d train, \d val, \d test", printed)
    assert f"mmseg-heritage train {project}/config.py --work-dir {project}/run" in printed
    samples = read_folder(project / "data")
    assert len(samples) == 8
    assert samples[0].classes.names == ("Clean", "Cracks", "Mold")
    cfg = Config.fromfile(project / "config.py")
    assert cfg.model.decode_head.num_classes == 3
    assert cfg.train_dataloader.dataset.pipeline[2].size == 96  # the photographs' side, in 32s
    run = train(
        project / "config.py", str(project / "run"), cfg_options={"max_iters": 1, "num_workers": 0}
    )
    assert list(run.glob("best_*.pth"))


def test_nothing_is_written_unless_asked(folder, tmp_path, capsys):
    assert main(["init", str(folder)]) == 0
    printed = capsys.readouterr().out
    assert "#ff0000" in printed
    assert "nothing was written; --yes writes it" in printed
    assert sorted(path.name for path in tmp_path.iterdir()) == [folder.name]


def test_a_folder_with_files_is_not_written_into(folder, tmp_path, capsys):
    (tmp_path / "project").mkdir()
    (tmp_path / "project" / "notes.txt").touch()
    assert main(["init", str(folder), "--out", str(tmp_path / "project"), "--yes"]) == 2
    assert "project" in capsys.readouterr().err
    assert [path.name for path in (tmp_path / "project").iterdir()] == ["notes.txt"]


def test_names_are_checked_together(folder, capsys):
    assert main(["init", str(folder), "--names", "mold", "#ff0000=A", "#ff0000=B"]) == 2
    error = capsys.readouterr().err
    assert "'mold': expected VALUE=CLASS" in error
    assert "was named A before" in error


def test_two_photographs_are_too_few(folder):
    from mmseg_heritage.apis.starting import propose

    for path in sorted(folder.iterdir())[4:]:
        path.unlink()
    with pytest.raises(InputError, match="2 photographs with a mask; expected at least 3"):
        propose(folder)


def test_what_does_not_fit_is_said_with_its_reason(folder, tmp_path, capsys):
    mask = folder / "Wand 3_mask.png"
    Image.open(mask).resize((80, 60), Image.Resampling.NEAREST).save(mask)
    assert main(["init", str(folder), "--out", str(tmp_path / "project"), "--yes"]) == 0
    said = capsys.readouterr().out
    assert "left out, since the files do not fit: 1 photograph\n" in said
    assert f"{mask}: expected the size of its image, 160x120, found 80x60" in said
