"""From `movies_metadata.csv` and posters to a prepared data set: one module a stage."""
