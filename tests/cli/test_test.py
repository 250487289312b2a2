"""The end of a test on the console."""

from mmseg_heritage.cli import main
from mmseg_heritage.evaluation.summary import summarize
from mmseg_heritage.utils.files import write_json


def test_it_ends_with_its_scores_beside_those_of_calling_everything_clean(
    random_counts, tmp_path, monkeypatch, capsys
):
    metrics = tmp_path / "metrics.json"
    monkeypatch.setattr("mmseg_heritage.apis.testing.test", lambda *_, **__: metrics)
    assert main(["test", "epoch_1.pth"]) == 0  # a config may name metrics that only log
    assert capsys.readouterr().out == ""
    write_json(metrics, summarize(random_counts(images=24)))
    assert main(["test", "epoch_1.pth"]) == 0
    printed = capsys.readouterr().out
    assert printed.startswith("24 test images, percent  model  all Clean\n")
    assert "The model marks " in printed
    assert printed.endswith(f"scores: {metrics}\n")
