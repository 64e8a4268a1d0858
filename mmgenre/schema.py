"""Schema of a movie: its genres, its features, their shapes and dtypes.

Everything that reads or writes movies agrees on the names in this module. It imports NumPy only, so
that preparation, training, prediction and tests can all afford it.
"""

from typing import Final

GENRES: Final[tuple[str, ...]] = (
    "Action",
    "Adventure",
    "Animation",
    "Comedy",
    "Crime",
    "Documentary",
    "Drama",
    "Family",
    "Fantasy",
    "History",
    "Horror",
    "Music",
    "Mystery",
    "Romance",
    "Science Fiction",
    "Thriller",
    "War",
    "Western",
)
"""The specification's genres, in the order of the output units; a data set may have others."""

NUM_GENRES: Final = len(GENRES)

POSTER_SIZE: Final = 64
"""Height and width of a poster as the model sees it, in pixels."""

POSTER_SHAPE: Final = (POSTER_SIZE, POSTER_SIZE, 3)

TRAIN: Final = "train"
VALIDATION: Final = "validation"
TEST: Final = "test"
SPLITS: Final = (TRAIN, VALIDATION, TEST)

# The features of one movie in a record of a prepared data set (see `mmgenre.dataset.prepared`).
POSTER: Final = "poster"  # <uint8>[64, 64, 3], RGB; zeros where there is no poster.
HAS_POSTER: Final = "has_poster"  # <bool>[]
TOKENS: Final = "tokens"  # <int32>[num_tokens], ids of `mmgenre.inputs.tokenizer`; may be empty.
LABELS: Final = "labels"  # <uint8>[genres], 1 where the movie has the genre.
ID: Final = "id"  # <string>[], the movie's id in the metadata.
TITLE: Final = "title"  # <string>[]
OVERVIEW: Final = "overview"  # <string>[], the text that `tokens` were made from.
RECORD_FEATURES: Final = (POSTER, HAS_POSTER, TOKENS, LABELS, ID, TITLE, OVERVIEW)

# The features that a data set has besides where it was prepared with frozen encoders.
POSTER_VECTOR: Final = "poster_vector"  # <float16>[size]; zeros where there is no poster.
OVERVIEW_VECTOR: Final = "overview_vector"  # <float16>[size]; zeros where there is no overview.
VECTORS: Final = (POSTER_VECTOR, OVERVIEW_VECTOR)

# The features that a batch has besides (see `mmgenre.dataset.pipeline`).
LENGTH: Final = "length"  # <int32>[batch], tokens that are not padding, at least 1.
MASK: Final = "mask"  # <float32>[batch], 1 for a movie, 0 for padding of the batch.
ROW: Final = "row"  # <int32>[batch], the movie's place in the global batch.

PAD_ID: Final = 0
"""The token that fills an overview up to the length of its batch."""

UNKNOWN_ID: Final = 1
"""The token of every word outside the vocabulary."""
