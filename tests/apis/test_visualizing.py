"""Figures of a tested run: what is drawn, of which images, and what is refused."""

import json
import shutil
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("mmseg")
from mmseg_heritage.apis import visualizing as module
from mmseg_heritage.apis.testing import test as run_test
from mmseg_heritage.apis.visualizing import FIGURES_FILE, KINDS, visualize
from mmseg_heritage.errors import InputError
from mmseg_heritage.evaluation.store import load_counts
from mmseg_heritage.runs.shown_images import ShownImages
from mmseg_heritage.runs.trained_run import read_trained_run
from mmseg_heritage.visualization.figures.samples import choose_samples


@pytest.fixture(scope="module")
def run(tiny_run, tmp_path_factory):
    """A copy of the tiny run that was tested, with its maps in ``maps``. Read only."""
    folder = tmp_path_factory.mktemp("drawn") / "run"
    shutil.copytree(tiny_run.folder, folder)
    run_test(folder / "iter_3.pth", out_dir=str(folder / "maps"), skip_data_check=True)
    return folder


@pytest.fixture(scope="module")
def counts(run):
    return load_counts(run / "evaluation" / "per_image.npz")


@pytest.fixture
def draw(run, tmp_path):
    """A function that draws the run into ``tmp_path/out``, on the CPU."""

    def call(**options):
        checkpoint = options.pop("checkpoint", run / "iter_3.pth")
        out = options.pop("out", tmp_path / "out")
        return visualize(checkpoint, out=out, device="cpu", **options)

    return call


def _names(folder: Path):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


@pytest.mark.slow
def test_everything_the_run_has_is_drawn(draw, run, counts, tmp_path):
    figures = draw(maps=run / "maps")
    assert set(figures.left_out) == {"levels"}
    assert "no levels" in figures.left_out["levels"]
    content = json.loads((tmp_path / "out" / FIGURES_FILE).read_text())
    kinds = {entry["kind"] for entry in content["figures"]}
    assert kinds == set(KINDS) - {"levels", "cam"}
    files = [entry["file"] for entry in content["figures"]]
    assert _names(tmp_path / "out") == sorted([*files, FIGURES_FILE])
    assert [path.name for path in figures.files] == [*(Path(f).name for f in files), FIGURES_FILE]
    for name in files:
        with Image.open(tmp_path / "out" / name) as image:
            image.load()
            assert min(image.size) > 200
    shown = [entry["file"] for entry in content["figures"] if entry["kind"] == "panels"]
    there = counts.confusion.sum(axis=0)
    assert len(shown) == ((there.sum(axis=0) + there.sum(axis=1)) > 0).sum()
    assert not list(tmp_path.glob(".figures*"))


def test_the_model_is_run_where_no_maps_are_given(run, counts):
    read = partial(read_trained_run, run / "iter_3.pth")
    shown = ShownImages(read, counts, device="cpu")
    saved = ShownImages(read, counts, maps=run / "maps")
    for choice in choose_samples(counts)[:2]:
        one, other = shown.get(choice), saved.get(choice)
        assert np.array_equal(one.prediction, other.prediction)
        assert np.array_equal(one.truth, other.truth)
        assert one.reason == other.reason


def test_chosen_images_of_a_chosen_class(draw, run, counts, tmp_path):
    asked = list(counts.ids[:2])
    draw(images=asked, class_name="Cracks", kinds=["panels", "grid"], maps=run / "maps")
    assert _names(tmp_path / "out") == ["classes/cracks.png", FIGURES_FILE, "prediction_grid.png"]


def test_unknown_names_are_told_before_anything_is_drawn(draw, counts, tmp_path):
    with pytest.raises(InputError, match="did you mean") as raised:
        draw(images=[counts.ids[0] + "x"])
    assert counts.ids[0] in str(raised.value)
    with pytest.raises(InputError, match="did you mean Cracks"):
        draw(class_name="crack")
    with pytest.raises(InputError, match="did you mean errors"):
        draw(kinds=["error"])
    with pytest.raises(InputError, match="needs an image and a class"):
        draw(kinds=["cam"])
    assert not list(tmp_path.iterdir())


def test_figures_go_where_report_finds_them(draw, run, tmp_path):
    copy = shutil.copytree(run, tmp_path / "run")
    figures = draw(checkpoint=copy / "iter_3.pth", out=None, kinds=["confusion"])
    folder = copy / "evaluation" / "figures"
    assert [path.parent for path in figures.files] == [folder] * 2


def test_what_was_asked_for_by_name_must_be_there(draw, tmp_path):
    with pytest.raises(InputError, match="--kinds levels: the model predicts no levels"):
        draw(kinds=["iou", "levels"])
    assert not list(tmp_path.iterdir())


def test_a_run_without_a_test(draw, tiny_run, tmp_path):
    checkpoint = shutil.copy(tiny_run.checkpoint, tmp_path / "alone.pth")
    with pytest.raises(InputError, match="was not tested"):
        draw(checkpoint=checkpoint)
    with pytest.raises(InputError, match="no training is logged"):
        draw(checkpoint=checkpoint, kinds=["curves"])
    with pytest.raises(InputError, match="no such checkpoint"):
        draw(checkpoint=tmp_path / "nowhere.pth")
    draw(kinds=["curves"])  # of a run that was trained, tested or not
    assert "training_curves.png" in _names(tmp_path / "out")


def test_scores_of_another_checkpoint_are_refused(draw, run, tmp_path):
    other = tmp_path / "other.pth"
    other.write_bytes((run / "iter_3.pth").read_bytes() + b"x")
    with pytest.raises(InputError, match="scores of another checkpoint"):
        draw(checkpoint=other, work_dir=run)
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_a_folder_with_files_is_only_written_to_when_asked(draw, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    (out / "mine.txt").write_text("kept")
    with pytest.raises(InputError, match="holds files"):
        draw(kinds=["iou"])
    assert _names(out) == ["mine.txt"]
    draw(kinds=["iou", "confusion"], overwrite=True)
    draw(kinds=["iou"], overwrite=True)
    # The matrix of the earlier call would be taken for one of this call.
    assert _names(out) == [FIGURES_FILE, "mine.txt", "per_class_iou.png"]


def test_a_list_of_figures_names_no_files_elsewhere(draw, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    (tmp_path / "mine.png").write_bytes(b"kept")
    entries = [{"file": "../mine.png"}, {"file": str(tmp_path / "mine.png")}]
    (out / FIGURES_FILE).write_text(json.dumps({"figures": entries}))
    draw(kinds=["iou"], overwrite=True)
    assert (tmp_path / "mine.png").read_bytes() == b"kept"


@pytest.mark.slow
def test_maps_that_were_not_scored_are_refused(draw, run, counts, tmp_path):
    maps = Path(shutil.copytree(run / "maps", tmp_path / "maps"))
    first = maps / f"{counts.ids[0]}.png"
    with Image.open(first) as image:
        ids = np.array(image)
    asked = {"images": [counts.ids[0]], "kinds": ["errors"], "maps": maps}
    Image.fromarray((ids + 1) % 16).save(first)
    with pytest.raises(InputError, match="not the prediction that was scored"):
        draw(**asked)
    Image.fromarray(ids[:-1]).save(first)
    with pytest.raises(InputError, match="test --out wrote"):
        draw(**asked)
    first.write_bytes(b"no image")
    with pytest.raises(InputError, match="cannot be read as a class map"):
        draw(**asked)
    first.unlink()
    with pytest.raises(InputError, match="no such class map"):
        draw(**asked)
    assert not (tmp_path / "out").exists()


def test_changed_or_missing_data_is_refused(draw, counts, copied_sample_set, tmp_path):
    image = counts.ids[0]
    options = {"images": [image], "kinds": ["grid"],
               "cfg_options": {"data_root": str(copied_sample_set)}}  # fmt: skip
    mask = copied_sample_set / "annotations" / f"{image}.png"
    with Image.open(mask) as opened:
        ids = np.array(opened)
    Image.fromarray(np.where(ids == 0, np.uint8(9), ids)).save(mask)
    with pytest.raises(InputError, match="another mask than the one that was tested"):
        draw(**options)
    (copied_sample_set / "images" / f"{image}.png").unlink()
    with pytest.raises(InputError, match=image):
        draw(**options)
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_nothing_is_left_behind_by_a_failure(draw, run, monkeypatch, tmp_path):
    def fail(*args):
        raise OSError("no space left on device")

    monkeypatch.setattr(module.sheets, "plot_errors", fail)
    with pytest.raises(OSError, match="no space"):
        draw(maps=run / "maps")
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_an_activation_of_an_image_and_a_class(draw, counts, tmp_path):
    pytest.importorskip("captum")
    index = int(counts.confusion[0].sum(axis=1).argmax())
    name, image = counts.classes[index], counts.ids[0]
    draw(images=[image], class_name=name, kinds=["cam"])
    (picture,) = (tmp_path / "out" / "cam").iterdir()
    assert picture.name.startswith(image)
    confusion = counts.confusion[0]
    there = confusion.sum(axis=0) + confusion.sum(axis=1)
    absent = counts.classes[int(there.argmin())]
    assert there.min() == 0
    with pytest.raises(InputError, match="neither prediction nor truth"):
        draw(images=[image], class_name=absent, kinds=["cam"], out=tmp_path / "other")


@pytest.mark.slow
def test_a_test_draws_when_asked(tiny_run, tmp_path):
    run_test(tiny_run.checkpoint, work_dir=str(tmp_path / "run"), visualize=True,
             skip_data_check=True)  # fmt: skip
    names = _names(tmp_path / "run" / "evaluation" / "figures")
    assert "confusion_matrix.png" in names
    assert any(name.startswith("prediction_grid") for name in names)
    content = json.loads((tmp_path / "run/evaluation/figures" / FIGURES_FILE).read_text())
    assert "no training is logged" in content["left_out"]["curves"]
