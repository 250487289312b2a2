"""What the tests of figures share."""

import pytest


@pytest.fixture
def keep_figures(monkeypatch):
    """A function that lets a module keep the figures it saves, by the name of their file."""

    def keep_of(module):
        drawn, save = {}, module.save_figure

        def keep(figure, path):
            drawn[path.name] = figure
            save(figure, path)

        monkeypatch.setattr(module, "save_figure", keep)
        return drawn

    return keep_of
