"""Words that a run does not know are counted, and said."""

from mmgenre.predict import format_prediction
from mmgenre.prediction.predictor import GenrePredictor


def test_unknown_words_are_counted_without_punctuation(tiny_run):
    predictor = GenrePredictor.load(tiny_run.path)
    known = next(word for word in predictor.tokenizer.words[2:] if word.isalpha())
    (prediction,) = predictor.predict(overviews=[f"Xyzzy, plugh {known}."])
    assert (prediction.num_words, prediction.num_unknown) == (3, 2)
    assert "(2 of 3 words unknown)" in format_prediction(prediction)
    assert prediction.as_json()["words"] == 3 and prediction.as_json()["unknown_words"] == 2
    (prediction,) = predictor.predict(overviews=[known])
    assert "unknown" not in format_prediction(prediction)
