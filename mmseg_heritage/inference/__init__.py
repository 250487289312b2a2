"""From a photograph to class maps: the model, and how it is applied."""
