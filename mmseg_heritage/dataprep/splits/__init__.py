"""Dividing a data set into training, validation and test by source object."""
