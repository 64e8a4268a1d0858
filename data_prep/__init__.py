"""From `movies_metadata.csv` and posters to a prepared data set: one module a stage."""

import mmgenre  # noqa: F401 - It sees to signals while a command is being imported.
