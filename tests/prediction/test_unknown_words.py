"""What a run does not know is said: words that are not in its vocabulary, and real movies."""

import json
import shutil

from mmgenre.dataset.prepared import DEMO_NAME
from mmgenre.predict import format_prediction
from mmgenre.prediction import explanation
from mmgenre.prediction.predictor import GenrePredictor


def test_unknown_words_are_counted_without_punctuation(tiny_run):
    predictor = GenrePredictor.load(tiny_run.path)
    known = next(word for word in predictor.tokenizer.words[2:] if word.isalpha())
    (prediction,) = predictor.predict(overviews=[f"Xyzzy, plugh {known}."])
    assert (prediction.num_words, prediction.num_unknown) == (3, 2)
    assert "(2 of 3 words unknown)" in format_prediction(prediction)
    assert prediction.as_json()["words"] == 3 and prediction.as_json()["unknown_words"] == 2
    (prediction,) = predictor.predict(overviews=["xyzzy plugh"])
    assert "no word of the overview is known" in format_prediction(prediction)
    (prediction,) = predictor.predict(overviews=[known])
    assert "unknown" not in format_prediction(prediction)


def test_unknown_words_are_grey_in_an_explanation(tiny_run):
    predictor = GenrePredictor.load(tiny_run.path)
    known = next(word for word in predictor.tokenizer.words[2:] if word.isalpha())
    found = explanation.explain(predictor, None, f"Xyzzy {known}.")
    page = explanation.explanation_page(predictor, found)
    assert '<span class="unknown" style="background: rgba(' in page and "Grey words" in page
    assert "1 of 2 words of the overview are not in its vocabulary" in page
    pieces = explanation.word_pieces(found, found.genres[0].attribution)
    assert [piece["text"] for piece in pieces if piece["unknown"]] == ["Xyzzy"]


def test_a_run_on_the_demo_corpus_says_so(tiny_run, tmp_path):
    shutil.copytree(tiny_run.path, tmp_path / "run")
    file = tmp_path / "run" / "dataset.json"
    fields = json.loads(file.read_text())
    assert not GenrePredictor.load(tmp_path / "run").note
    fields["info"]["name"] = DEMO_NAME
    file.write_text(json.dumps(fields))
    (prediction,) = GenrePredictor.load(tmp_path / "run").predict(overviews=["A sheriff rides."])
    assert "invented movies" in prediction.as_json()["note"]
    assert f"(note: {prediction.note})" in format_prediction(prediction)
