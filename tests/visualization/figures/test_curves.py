"""Training curves: logs of several starts in one line, and what is drawn of them."""

import json

import pytest
from PIL import Image

from mmseg_heritage.errors import InputError
from mmseg_heritage.visualization.figures.curves import (
    classes_of,
    has_log,
    plot_class_curves,
    plot_training_curves,
    read_scalars,
)


def _log(run, stamp, records, tail=""):
    path = run / stamp / "vis_data" / "scalars.json"
    path.parent.mkdir(parents=True)
    path.write_text("".join(json.dumps(record) + "\n" for record in records) + tail)
    return path


def _train(step, loss, epoch=1, **more):
    return {"loss": loss, "lr": 0.1, "iter": step, "epoch": epoch, "step": step, **more}


def _val(step, score):
    return {"mIoU": score, "IoU.Clean": score, "IoU.Material Loss": score / 2, "step": step}


def test_a_resumed_run_is_one_line(tmp_path):
    _log(tmp_path, "20260101_000000", [_train(10, 5.0), _val(10, 1.0), _train(20, 4.0),
                                       _train(30, 99.0)])  # fmt: skip
    _log(tmp_path, "20260102_000000", [_train(21, 3.0), _train(30, 2.0), _val(30, 7.0)])
    curves, starts = read_scalars(tmp_path)
    assert curves["loss"] == ([10, 20, 21, 30], [5.0, 4.0, 3.0, 2.0])
    assert curves["mIoU"] == ([10, 30], [1.0, 7.0])
    assert starts == [21]


def test_a_run_begun_anew_replaces_the_earlier_one(tmp_path):
    _log(tmp_path, "a", [_train(10, 5.0), _train(20, 4.0)])
    _log(tmp_path, "b", [_train(10, 3.0)])
    curves, starts = read_scalars(tmp_path)
    assert curves["loss"] == ([10], [3.0])
    assert starts == []


def test_validations_numbered_by_epoch_get_their_step(tmp_path):
    _log(tmp_path, "a", [_train(10, 5.0, 1), _train(20, 4.0, 2), _val(2, 1.0), _train(30, 3.0, 3),
                         _train(40, 3.0, 4), _val(4, 2.0)])  # fmt: skip
    curves, _ = read_scalars(tmp_path)
    assert curves["mIoU"] == ([20, 40], [1.0, 2.0])


def test_a_line_cut_off_at_the_end_is_left_out(tmp_path):
    path = _log(tmp_path, "a", [_train(10, 5.0)], tail='{"loss": 1.0, "st')
    assert read_scalars(tmp_path)[0]["loss"] == ([10], [5.0])
    path.write_text('{"loss"\n' + path.read_text())
    with pytest.raises(InputError, match="JSON object with a step"):
        read_scalars(tmp_path)


def test_values_that_are_no_numbers_are_left_out(tmp_path):
    _log(tmp_path, "a", [_train(10, float("nan")), _train(20, 4.0, note="text")])
    curves, _ = read_scalars(tmp_path)
    assert curves["loss"] == ([20], [4.0])
    assert "note" not in curves


def test_a_folder_without_logs_says_so(tmp_path):
    assert not has_log(tmp_path)
    with pytest.raises(InputError, match="no training is logged here"):
        read_scalars(tmp_path)


def test_curves_of_a_run_are_drawn(tmp_path):
    parts = {"decode.loss_ce": 1.0, "decode.loss_dice": 2.0, "F1.Material loss": 3.0}
    _log(tmp_path, "a", [_train(10, 5.0, **parts), _val(10, 1.0), _train(20, 4.0, **parts)])
    _log(tmp_path, "b", [_train(21, 3.0, **parts), _val(30, 7.0)])
    curves, starts = read_scalars(tmp_path)
    classes = classes_of(curves)
    assert classes == ["Clean", "Material Loss"]
    plot_training_curves(tmp_path / "curves.png", curves, starts)
    plot_class_curves(tmp_path / "classes.png", curves, classes, starts)
    plot_training_curves(tmp_path / "empty.png", {})
    for name in ("curves.png", "classes.png", "empty.png"):
        with Image.open(tmp_path / name) as image:
            assert min(image.size) > 200


def test_only_losses_are_drawn_as_losses(tmp_path, monkeypatch):
    from mmseg_heritage.visualization.figures import curves as module

    drawn = []
    monkeypatch.setattr(module, "save_figure", lambda figure, path: drawn.append(figure))
    points = ([1, 2], [3.0, 4.0])
    keys = ("loss", "decode.loss_ce", "aux.loss_dice", "IoU.Material loss", "decode.acc_seg")
    plot_training_curves(tmp_path / "x.png", dict.fromkeys(keys, points))
    labels = [text.get_text() for text in drawn[0].axes[0].get_legend().get_texts()]
    assert labels == ["loss", "decode.loss_ce", "aux.loss_dice"]
