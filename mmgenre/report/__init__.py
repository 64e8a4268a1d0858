"""The report of a finished run: figures, and one page that holds them all."""
