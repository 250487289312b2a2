"""The command convert: the table, and the exit code where a map is bad."""

import numpy as np
from PIL import Image

from mmseg_heritage.cli import main


def test_table_and_exit_code(tmp_path, capsys):
    maps, out = tmp_path / "maps", tmp_path / "out"
    maps.mkdir()
    ids = np.zeros((30, 40), np.uint8)
    ids[5:20, 6:30] = 9
    Image.fromarray(ids).save(maps / "a.png")
    command = ["convert", str(maps), "--to", "svg", "cvat", "--out", str(out)]
    assert main([*command, "--error", "0"]) == 0
    (row,) = (line for line in capsys.readouterr().out.splitlines() if line.startswith("a "))
    assert row.split() == ["a", "40x30", "1", "4", "0"]
    assert main(command) == 2
    assert "--overwrite" in capsys.readouterr().err
    (maps / "b.png").write_bytes(b"")
    assert main([*command, "--overwrite"]) == 2
    said = capsys.readouterr()
    assert "1 damage maps as svg, cvat" in said.out
    assert "1 maps could not be converted" in said.err
