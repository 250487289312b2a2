"""The damages of the sample set, one drawing for each class."""
