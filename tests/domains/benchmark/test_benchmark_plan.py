"""A plan is expanded into every run once, and every fault in it is said."""

import json

import pytest

from mmseg_heritage.domains.benchmark.benchmark_plan import SCHEMA, load_plan
from mmseg_heritage.errors import InputError
from mmseg_heritage.runs.config.config_files import config_folder

GOOD = {
    "schema": SCHEMA,
    "data_root": "data",
    "folds": {"leave-one-content-out": "all"},
    "methods": {"erm": {"config": "a.py"}, "coral": {"config": "b.py", "relative_cost": 2}},
    "reference": "erm",
    "seeds": [0, 1],
    "max_iters": 100,
    "seconds_per_iteration": 3,
    "test_seconds": 60,
}


def _load(tmp_path, **changes):
    path = tmp_path / "plan.json"
    path.write_text(json.dumps({**GOOD, **changes}))
    return load_plan(path)


def test_every_method_fold_and_seed_is_one_run(tmp_path):
    plan = _load(tmp_path)
    runs = plan.runs({"leave-one-content-out": ["x", "y"]})
    assert len({run.name for run in runs}) == len(runs) == 2 * 2 * 2
    # 4 runs of 300 s and 4 of 600 s, each with a minute of tests.
    assert plan.hours(runs) == pytest.approx((4 * 300 + 4 * 600 + 8 * 60) / 3600)


def test_all_faults_are_said_at_once(tmp_path):
    with pytest.raises(InputError) as error:
        _load(
            tmp_path,
            folds={"kfold": "all"},
            methods={"../up": {"family_options": {"line-art": {}}}},
            seeds=[1, 1],
            max_iters=0,
            cfg_options={"seed": 3},
            adapt=["tint"],
            more=1,
        )
    text = "\n".join(error.value.problems)
    for part in ("kfold", "../up", "config is missing", "seeds", "max_iters", "more", "reference",
                 "cfg_options.seed", "tint", "line-art"):  # fmt: skip
        assert part in text


def test_the_plan_of_the_study_has_its_configs():
    plan = load_plan(config_folder() / "benchmarks" / "transfer.json")
    assert all((config_folder() / f"{m.config}.py").is_file() for m in plan.methods.values())
