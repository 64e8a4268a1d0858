"""Model 2: Model 1's branches, made to generalise from ten thousand movies.

    python -m mmgenre.main --config configs/model2.py --config.data.dir=<prepared data set>

Beside Model 1: linear logits of words, word pairs and pieces of words, attention over all words in
place of the last one, word embeddings initialised from co-occurrence in the train split, a small
network on a poster's colours, textures and edges, a sum of the branches' log-odds in place of a
joint dense head, a loss of its own for each part and for the poster as a whole, a smaller CNN,
posters changed at random, stronger dropout, and a learning rate that falls.
`--config.model.word_vectors=<file>` starts the embedding from word vectors instead; set
`--config.model.embedding_size` to their size.

On 8,913 train movies it takes ten minutes on one core and reaches, on 872 test movies with a
poster, micro F1 0.661, macro F1 0.591, macro AUC 0.904 and mAP 0.636, mean of three seeds
(docs/results.md).

`--config configs/model2.py:trial` shrinks everything, to see in seconds that it all works.
"""

from ml_collections import ConfigDict

from mmgenre.config import default_config


def get_config(variant: str = "") -> ConfigDict:
    """Returns the config; `variant` is empty or "trial"."""
    config = default_config()
    config.name = "model2"
    config.batch_size = 128
    config.epochs = 15
    config.patience = 0
    config.learning_rate = 2e-3
    config.learning_rate_schedule = "cosine"
    config.embedding_learning_rate_factor = 0.1
    config.poster_vector_learning_rate_factor = 0.2
    config.branch_loss = 0.3
    config.poster_loss = 1.0
    config.poster_loss_scale = 1.5
    config.ngram_learning_rate = 4.0

    config.model.fusion = "sum"
    config.model.head_dropout = 0.4
    config.model.ngram_buckets = 2**18
    config.model.ngram_dropout = 0.5
    config.model.piece_buckets = 2**16
    config.model.overview_pooling = "attention"
    config.model.word_vectors = "cooccurrence"
    config.model.embedding_size = 128
    config.model.word_dropout = 0.1
    config.model.embedding_dropout = 0.3
    config.model.lstm_units = (64,)
    config.model.lstm_dropout = 0.5
    config.model.overview_features = 256
    config.model.cnn_filters = (16, 32, 64, 64)
    config.model.cnn_dropout = 0.3
    config.model.poster_features = 128
    config.model.augment_posters = True
    config.model.poster_statistics_units = 256
    config.model.poster_statistics_dropout = 0.7

    if variant == "trial":
        config.name = "model2-trial"
        config.epochs = 1
        config.batch_size = 32
        config.model.cnn_filters = (4, 4, 8, 8)
        config.model.poster_features = 16
        config.model.lstm_units = (8,)
        config.model.overview_features = 16
        config.model.ngram_buckets = 64
        config.model.piece_buckets = 64
        config.model.poster_statistics_units = 8
    elif variant:
        raise ValueError(f"model2 has no variant {variant!r}; there is 'trial'")
    return config
