"""The benchmark of domain generalization: its plan, its results, its tables."""
