"""mmgenre: the genres of a movie, from its poster and its overview."""

__version__ = "0.1.0"
