"""Class weights from the pixels of the training part."""
