"""Figures from the command line."""

import pytest

pytest.importorskip("mmseg")
from mmseg_heritage.apis import visualizing as api
from mmseg_heritage.cli import main, visualize


def test_arguments_reach_the_function(monkeypatch, capsys, tmp_path):
    calls = []

    def record(*args, **options):
        calls.append((args, options))
        return api.Figures((tmp_path / "a.png", tmp_path / "figures.json"), {"levels": "why"})

    monkeypatch.setattr(api, "visualize", record)
    arguments = ["visualize", "c.py", "m.pth", "--out", "o", "--work-dir", "w", "--images", "a",
                 "b", "--class", "Burn marks", "--kinds", "cam", "grid", "--maps", "m",
                 "--overwrite", "--cfg-options", "data_root=d"]  # fmt: skip
    assert main(arguments) == 0
    ((args, options),) = calls
    assert args == ("m.pth", "c.py", "o")
    assert options == {
        "work_dir": "w", "images": ["a", "b"], "class_name": "Burn marks", "kinds": ["cam", "grid"],
        "maps": "m", "device": None, "cfg_options": {"data_root": "d"}, "overwrite": True,
        "trust_checkpoint": False,
    }  # fmt: skip
    out = capsys.readouterr().out
    assert "left out: levels: why" in out
    assert f"1 figures: {tmp_path}" in out


def test_the_help_names_every_kind():
    import argparse

    parser = argparse.ArgumentParser()
    visualize.add_arguments(parser)
    (text,) = [a.help for a in parser._actions if a.dest == "kinds"]
    assert text.split(" (")[0].split() == list(api.KINDS)


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ([], "nowhere.pth: no such checkpoint"),
        (["--kinds", "grids"], "did you mean grid?"),
        (["--kinds", "cam"], "--images ID --class NAME"),
    ],
)
def test_bad_input_ends_with_code_2_and_writes_nothing(more, message, tmp_path, capsys):
    out = str(tmp_path / "out")
    assert main(["visualize", "nowhere.py", "nowhere.pth", "--out", out, *more]) == 2
    assert message in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
