"""Pictures of data, predictions and scores. Class maps and panels need no matplotlib."""
