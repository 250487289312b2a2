"""A benchmark runs each planned run once, goes on after a stop, and refuses what does not fit."""

import json
import shutil
from pathlib import Path

import pytest

from mmseg_heritage.cli import main
from mmseg_heritage.domains.benchmark.benchmark_plan import SCHEMA

SMALL = {
    "model.backbone.embed_dims": 8, "model.backbone.num_layers": [1, 1, 1, 1],
    "model.decode_head.channels": 16, "crop_size": 64, "num_workers": 0, "batch_size": 4,
    "train_cfg.val_interval": 100, "default_hooks.checkpoint.interval": 1,
    "default_hooks.checkpoint.max_keep_ckpts": 2,
    "custom_hooks.0.begin_iter": 0,
}  # fmt: skip
SAMPLER = {
    "train_dataloader.sampler.domains_per_batch": 2,
    "train_dataloader.sampler.images_per_domain": 2,
}


def _plan(path, data, **changes):
    config = "segformer_mitb3_artefact-erm-"
    content = {
        "schema": SCHEMA,
        "data_root": str(data),
        "folds": {"leave-one-content-out": ["line-art"]},
        "methods": {
            "natural": {"config": f"{config}natural"},
            "balanced": {"config": f"{config}balanced", "cfg_options": SAMPLER},
        },
        "reference": "balanced",
        "seeds": [0],
        "max_iters": 2,
        "cfg_options": SMALL,
        "seconds_per_iteration": 1,
    }
    path.write_text(json.dumps({**content, **changes}))
    return str(path)


@pytest.mark.slow
def test_two_methods_with_an_adaptation_and_an_oracle(sample_set, tmp_path, capfd):
    data = Path(shutil.copytree(sample_set, tmp_path / "data"))
    plan, out = _plan(tmp_path / "plan.json", data), tmp_path / "out"
    asked = {"adapt": ["bn"], "oracle": True}
    command = ["benchmark-dg", plan, "--out", str(out)]
    assert main([*command, "--dry-run"]) == 0
    assert "2 runs to do" in capfd.readouterr().out
    assert main([*command, "--collect"]) == 2  # nothing is done yet
    assert main(command) == 0
    content = json.loads((out / "benchmark.json").read_text())
    assert len(content["runs"]) == 2
    found = content["families"]["leave-one-content-out"]
    assert found["methods"].keys() == {"natural", "balanced"}
    assert found["differences"].keys() == {"natural"}
    for identity in content["runs"].values():
        assert identity["max_iters"] == 2
    assert found["beside"] == {}
    assert not (out / "balanced/leave-one-content-out/line-art/seed-0/oracle").exists()
    assert "natural" in (out / "benchmark.html").read_text()

    tested = {p: p.stat().st_mtime_ns for p in out.rglob("metrics.json")}
    assert main(command) == 0  # nothing is run again
    assert tested == {p: p.stat().st_mtime_ns for p in out.rglob("metrics.json")}

    _plan(Path(plan), data, **asked)  # more tests of the same runs
    assert main(command) == 0
    assert tested.items() <= {p: p.stat().st_mtime_ns for p in out.rglob("metrics.json")}.items()
    found = json.loads((out / "benchmark.json").read_text())["families"]["leave-one-content-out"]
    assert found["beside"].keys() == {"bn", "oracle"}
    for scores in found["beside"]["oracle"].values():
        assert scores["differences"]["macro"]["difference"] >= 0

    for checkpoint in out.rglob("*.pth"):
        checkpoint.unlink()
    assert main([*command, "--collect"]) == 0  # results need no weights

    capfd.readouterr()
    _plan(Path(plan), data, max_iters=3)
    assert main([*command, "--collect"]) == 2
    assert "never mixed" in capfd.readouterr().err


def test_methods_that_start_from_other_weights_are_refused(sample_set, tmp_path, capsys):
    data = Path(shutil.copytree(sample_set, tmp_path / "data"))
    (tmp_path / "weights.pth").write_bytes(b"w")
    other = {"load_from": str(tmp_path / "weights.pth")}
    config = "segformer_mitb3_artefact-erm-natural"
    methods = {"a": {"config": config}, "b": {"config": config, "cfg_options": other}}
    plan = _plan(tmp_path / "plan.json", data, methods=methods, reference="a")
    assert main(["benchmark-dg", plan, "--out", str(tmp_path / "out")]) == 2
    assert "b, leave-one-content-out: starts from other weights" in capsys.readouterr().err


def test_a_run_that_is_not_in_the_plan_is_refused(sample_set, tmp_path, capsys):
    data = Path(shutil.copytree(sample_set, tmp_path / "data"))
    plan = _plan(tmp_path / "plan.json", data)
    assert main(["benchmark-dg", plan, "--out", str(tmp_path / "out"), "--run", "2"]) == 2
    assert "expected a number from 0 to 1, found 2" in capsys.readouterr().err
