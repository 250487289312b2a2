"""Train, test and predict as functions; the command line calls these."""
