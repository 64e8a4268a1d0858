"""Training over a grid of settings: `python -m mmgenre.sweep`."""
