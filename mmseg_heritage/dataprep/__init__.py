"""A data set's folder before training: layout, checks, splits, weights, import. Needs no torch."""
