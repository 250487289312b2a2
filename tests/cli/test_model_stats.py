"""Model statistics from the command line."""

import json

import pytest

from mmseg_heritage.cli import main
from mmseg_heritage.runs.model_stats import measure_model

MARKERS = "".join(
    f"<!-- model-stats {name} -->\n<!-- end model-stats {name} -->\n"
    for name in ("configs", "backbones")
)


def test_the_tables_and_their_convention(tiny_config, capsys):
    assert main(["model-stats", str(tiny_config)]) == 0
    out = capsys.readouterr().out
    assert "| `tiny` " in out and "| `MixVisionTransformer` " in out
    assert "2 x the multiply-adds" in out


def test_exact_numbers_as_json(tiny_config, capsys):
    arguments = ["model-stats", str(tiny_config), "--json", "--size", "96", "64"]
    assert main([*arguments, "--cfg-options", "num_classes=3"]) == 0
    content = json.loads(capsys.readouterr().out)
    [found] = content["models"]
    measured = measure_model(tiny_config, (96, 64), {"num_classes": 3})
    assert found["size"] == [96, 64]
    assert (found["parameters"], found["flops"]) == (measured.parameters, measured.flops)
    assert "multiply-adds" in content["convention"]


def test_a_document_is_updated_and_checked(tiny_config, tmp_path, capsys):
    document = tmp_path / "doc.md"
    document.write_text(MARKERS)
    arguments = ["model-stats", str(tiny_config)]
    assert main([*arguments, "--check", str(document)]) == 2
    assert "are not those of the models" in capsys.readouterr().err
    assert document.read_text() == MARKERS
    for words in ("updated", "up to date"):
        assert main([*arguments, "--update", str(document)]) == 0
        assert words in capsys.readouterr().out
    assert main([*arguments, "--check", str(document)]) == 0
    assert main([*arguments, "--size", "128", "--check", str(document)]) == 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nowhere.py"], "nowhere.py: no such config file"),
        (["nowhere.py", "neither.py"], "neither.py: no such config file"),
        (["{config}", "--size", "0"], "pixels from 1 upwards, or height and width, found 0"),
        (["{config}", "--size", "8", "8", "8"], "found 8 8 8"),
        (["{config}", "--cfg-options", "model.bakcbone.x=1"], "model.bakcbone.x: no such variable"),
        (["{config}", "--update", "nowhere.md"], "nowhere.md: no such document"),
        (["{config}", "--cfg-options", "cache=floppy"], "auto, ram, disk or none"),
    ],
)
def test_bad_input_ends_with_code_2(arguments, message, tiny_config, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    filled = [argument.format(config=tiny_config) for argument in arguments]
    assert main(["model-stats", *filled]) == 2
    assert message in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
