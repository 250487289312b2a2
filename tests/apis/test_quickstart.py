"""The main job in one go."""

import pytest

from mmseg_heritage.apis import quickstart as module
from mmseg_heritage.errors import InputError


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


@pytest.mark.parametrize("times", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_it_prints_both_numbers_and_where_everything_is(
    times, tiny_config, tmp_path, monkeypatch, capsys
):
    monkeypatch.setattr(module, "config_folder", lambda: tiny_config.parent)
    monkeypatch.setattr(module, "CONFIG", tiny_config.name)
    train, make = module.train, module.make_sample_set
    monkeypatch.setattr(
        module,
        "train",
        lambda *a, cfg_options, **k: train(*a, cfg_options={**cfg_options, "max_iters": 1}, **k),
    )
    monkeypatch.setattr(
        module, "make_sample_set", lambda out, *_, progress: make(out, 12, 96, progress=progress)
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
        assert f"{work / 'pictures'} (3 images" in report
    assert len(list((work / "pictures").glob("*.png"))) == 3
