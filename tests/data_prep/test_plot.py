"""The figure of a data set's genres."""

import pytest
from etils import epath
from PIL import Image

from data_prep.shards import plot
from mmgenre import schema


@pytest.mark.parametrize("name", [r"$\frac$", "$x^{$ _a_", "a\nb", ""])
def test_a_name_is_no_formula(tmp_path, name):
    split = {"movies": 9, "genres": dict.fromkeys(schema.GENRES, 3)}
    report = {"name": name, "genres": split["genres"], "splits": {schema.TRAIN: split}}
    plot.write(epath.Path(tmp_path), report)
    with Image.open(tmp_path / plot.FILE) as figure:
        assert figure.size[0] > 500
