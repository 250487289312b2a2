"""What the tests of every command share: inputs, and a process that runs commands quickly."""

import importlib.util
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from mmseg_heritage.apis.reviews.predicted_photographs import find_predictions
from mmseg_heritage.domains.benchmark.benchmark_plan import SCHEMA as BENCHMARK_SCHEMA
from mmseg_heritage.review.review_file import SCHEMA
from mmseg_heritage.utils.files import write_json

SCRIPT = Path(__file__).with_name("stopped_commands.py")
MODEL = "run/iter_3.pth"
COMMANDS = {
    "make-sample-data": "--out out --num-images 4 --size 64",
    "import-data": "cracks_threshold --images data/images --masks data/annotations --skip-faulty "
                   "--out out",
    "prepare-artefact": "hub --out out",
    "check-data": "--data-root data --json out/report.json",
    "make-splits": "--data-root data --out out --folds 3",
    "class-weights": "--data-root data --split-file splits/kfold-2",
    "augment": "--data-root data --out out --copies 1 --tier light",
    "init": "pairs --yes --out out",
    "train": "tiny.py --work-dir out --resume --cfg-options max_iters=3",
    "train --fold": "tiny.py --work-dir out --fold all --resume --cfg-options max_iters=1 "
                    "data_root=data split_file=splits/kfold-2 experiment_name=run_{fold}",
    "test": f"{MODEL} --work-dir out/test --show-dir out/show --out out/maps",
    "test --adapt": f"{MODEL} --work-dir out --adapt bn --out maps",
    "test --visualize": f"{MODEL} --work-dir out --visualize",
    "predict": f"{MODEL} data/images --out out",
    "review": "predicted --out out",
    "apply-review": "review.json --predictions predicted --out out --as-data-set set",
    "condition-record": "predicted --out out --format html docx",
    "compare-photographs": f"before.png after.png --checkpoint {MODEL} --out out",
    "calibrate": MODEL,
    "learn": f"{MODEL} corrected --out out --steps 2 --estimate 2",
    "convert": "predicted --out out --to svg geojson layers ora coco csv cvat label-studio",
    "export": f"{MODEL} --format weights --out out/model.pth",
    "export --format onnx": f"{MODEL} --out out/model.onnx",
    "visualize": f"{MODEL} --kinds confusion iou panels",
    "compare": "tested0 tested1 --out out",
    "report": "tested0 tested1 --out report.html",
    "benchmark-dg": "plan.json --out out",
    "model-stats": "tiny.py --update models.md --size 64",
    "quickstart": "--data-root sample --work-dir out",
    "doctor": "--json out/doctor.json",
}  # fmt: skip

PLAN = {
    "schema": BENCHMARK_SCHEMA,
    "data_root": "data",
    "folds": {"leave-one-content-out": ["line-art"]},
    "methods": {"natural": {"config": "tiny.py"}},
    "cfg_options": {"default_hooks.checkpoint.save_best": None},
    "reference": "natural",
    "seeds": [0],
    "max_iters": 1,
    "seconds_per_iteration": 1,
}

TAKES_MINUTES = ("export --format onnx", "benchmark-dg")


def pytest_generate_tests(metafunc):
    """A test that takes a long command is made for each of them."""
    if "long_command" in metafunc.fixturenames:
        is_asked = "MMSEG_HERITAGE_MOMENTS" in os.environ
        names = [name for name in COMMANDS if is_asked or name not in TAKES_MINUTES]
        metafunc.parametrize("long_command", names, indirect=True)


@pytest.fixture
def long_commands():
    """Names of all commands that are stopped, with the options that make two of one."""
    return tuple(COMMANDS)


@pytest.fixture
def long_command(request, inputs, prepare_of):
    """Name and arguments of a command; what it reads is in ``inputs``."""
    name = request.param
    prepare_of(name)
    return name, [name.split()[0], *COMMANDS[name].split()]


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """Folder in which commands run; each begins in a copy of its inputs."""
    return tmp_path_factory.mktemp("stopped") / "work"


@pytest.fixture(scope="module")
def ask(place):
    """A function that runs a command, see ``stopped_commands.py``, and returns how it ended."""
    temporary = place.with_name("temporary")
    temporary.mkdir()
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "TMPDIR": str(temporary)}
    with subprocess.Popen(
        [sys.executable, str(SCRIPT), str(place)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment,
    ) as process:  # fmt: skip
        process.stdout.readline()

        def call(argv, **moment):
            print(json.dumps({"argv": argv, **moment}), file=process.stdin, flush=True)
            return json.loads(process.stdout.readline())

        yield call
        process.stdin.close()


@pytest.fixture
def inputs(tmp_path, fold_set, tiny_run, predicted, random_counts, another_model, tested_run):
    """Folder of what commands read."""
    folder = tmp_path / "inputs"
    unwanted = shutil.ignore_patterns("verified.json", "class_weights")
    shutil.copytree(fold_set, folder / "data", ignore=unwanted)
    shutil.copytree(tiny_run.folder, folder / "run")
    shutil.copy(tiny_run.config, folder / "tiny.py")
    (folder / "corrected").mkdir()
    for kind in ("images", "annotations"):
        (folder / "corrected" / kind).mkdir()
        for path in sorted((folder / "data" / kind).iterdir())[:4]:
            shutil.copy(path, folder / "corrected" / kind)
    write_pairs(folder / "pairs")
    ids = np.zeros((40, 50), np.uint8)
    ids[5:11, 5:25], ids[35:] = 9, 255
    predicted(folder / "predicted", "wall/north", ids)
    write_review(predicted(folder / "predicted", "floor", ids), folder / "review.json")
    counts = random_counts()
    tested_run(folder / "tested0", counts)
    tested_run(folder / "tested1", another_model(counts, 0.1), seed=1)
    names = ("configs", "backbones")
    lines = [f"<!-- model-stats {n} -->\n<!-- end model-stats {n} -->\n" for n in names]
    (folder / "models.md").write_text("".join(lines))
    return folder


def write_pairs(folder):
    """Writes photographs with painted masks beside them."""
    folder.mkdir()
    for i in range(6):
        noise = np.random.default_rng(i).integers(0, 256, (8, 10, 3), dtype=np.uint8)
        Image.fromarray(cv2.resize(noise, (80, 64))).save(folder / f"{i}.jpg")
        mask = np.zeros((64, 80), np.uint8)
        mask[10:20, 5 : 30 + i] = 255
        Image.fromarray(mask).save(folder / f"{i}_mask.png")


def write_review(predictions, path):
    """Writes a review that accepts a region."""
    region = {"class": "Cracks", "box": [5, 5, 20, 6], "pixels": 120, "number": 1}
    found = find_predictions(predictions).values()
    act = {"id": "0" * 10, "by": "AB", "at": "2026-11-28T10:00:00+00:00", "kind": "accept",
           "photograph": "floor", "region": region}  # fmt: skip
    photographs = {one.name: {**one.hashes(), "width": 50, "height": 40} for one in found}
    content = {"schema": SCHEMA, "run": "0", "exported": "", "photographs": photographs}
    write_json(path, {**content, "acts": [act]})


@pytest.fixture
def prepare_of(inputs, ask, place, artworks):
    """A function that adds to the inputs what one command alone needs."""

    def prepare(name):
        if name == "prepare-artefact":
            path = Path(__file__).parents[1] / "dataprep" / "hub" / "conftest.py"
            spec = importlib.util.spec_from_file_location("hub_rows", path)
            rows = importlib.util.module_from_spec(spec)
            spec.loader.exec_module(rows)
            rows.write_hub_folder(inputs / "hub", 4)
        if name == "compare-photographs":
            Image.fromarray(artworks[0]).save(inputs / "before.png")
            Image.fromarray(np.roll(artworks[0], 3, axis=1)).save(inputs / "after.png")
        if name == "condition-record":
            pytest.importorskip("docx")
        if name == "export --format onnx":
            pytest.importorskip("onnxscript")
        if name == "benchmark-dg":
            write_json(inputs / "plan.json", PLAN)
        if name == "visualize":
            shutil.copytree(inputs, place)
            assert ask(["test", MODEL])["code"] == 0
            shutil.rmtree(inputs)
            place.rename(inputs)

    return prepare
