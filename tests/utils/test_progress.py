"""What a progress bar leaves in a log file."""

import pytest

from mmseg_heritage.utils.progress import progress_bar


def test_a_log_gets_the_final_count_once_on_standard_error(capsys):
    with progress_bar("reading plates") as report:
        for done in range(1, 31):
            report(done, 30)
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("reading plates") == 1
    assert "30/30" in captured.err
    assert "29/30" not in captured.err


def test_an_exception_passes_through_and_shows_how_far_it_came(capsys):
    with pytest.raises(KeyError), progress_bar("reading plates") as report:
        report(3, 30)
        raise KeyError
    assert "3/30" in capsys.readouterr().err


def test_work_of_unknown_length_that_never_reports_is_no_error(capsys):
    with progress_bar("reading plates"):
        pass
    assert "reading plates" in capsys.readouterr().err
