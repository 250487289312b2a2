"""Reading, checking and making data sets of damaged heritage objects."""
