"""The built-in forms of a SPEC with real models of their libraries, of random weights.

Nothing is fetched. Run where the extra `[encoders]` is installed: pytest -m slow tests/encoders
"""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mmgenre import schema
from mmgenre.dataset.prepared import open_dataset
from mmgenre.dataset.read_split import read_split
from mmgenre.encoders.load import load
from mmgenre.encoders.origin import origin_digest
from mmgenre.errors import UserError
from tests import movie_files
from tests.prepare_command import command, run

pytestmark = [
    pytest.mark.slow,
    # Of these libraries, while they are imported and while they read configs.
    pytest.mark.filterwarnings("default"),
]

torch = pytest.importorskip("torch")


@pytest.fixture(scope="module")
def pictures() -> list[Image.Image]:
    generator = np.random.default_rng(0)
    return [
        Image.fromarray(generator.integers(0, 256, (224, 224, 3), np.uint8))
        .reduce(7)
        .resize((224, 224))
        for _ in range(5)
    ]


@pytest.fixture(scope="module")
def resnet(tmp_path_factory) -> Path:
    """A file of weights of a real model, with a classifier of ImageNet's classes as files have."""
    timm = pytest.importorskip("timm")
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("timm") / "resnet10t.pth"
    torch.save(timm.create_model("resnet10t", pretrained=False).state_dict(), path)
    return path


def test_timm_with_a_file_of_weights(resnet, pictures):
    import timm

    spec = f"timm:resnet10t@{resnet}"
    encoder = load(spec, schema.POSTER_VECTOR)
    assert (encoder.info.name, encoder.info.size) == ("resnet10t", 512)
    # Against timm's own way: its transform, its features before the classifier.
    model = timm.create_model("resnet10t", pretrained=False)
    model.load_state_dict(torch.load(resnet, weights_only=True))
    config = timm.data.resolve_model_data_config(model)
    side = config["input_size"][-1]
    assert encoder.side == side
    inputs = [picture.resize((side, side)) for picture in pictures]
    scaled = np.stack([np.asarray(picture, np.float32) for picture in inputs]) / 255
    scaled = (scaled - np.array(config["mean"])) / np.array(config["std"])
    batch = torch.from_numpy(scaled.astype(np.float32)).permute(0, 3, 1, 2)
    with torch.inference_mode():
        model.eval()
        expected = model.forward_head(model.forward_features(batch), pre_logits=True).numpy()
    np.testing.assert_allclose(encoder.encode(inputs), expected, rtol=2e-3, atol=2e-3)
    # Other weights are another encoder; its file tells sooner than itself.
    assert load(spec, schema.POSTER_VECTOR).info == encoder.info
    before = origin_digest(spec, ())
    other = resnet.with_name("other.pth")
    torch.manual_seed(1)
    torch.save(timm.create_model("resnet10t", pretrained=False).state_dict(), other)
    changed = load(f"timm:resnet10t@{other}", schema.POSTER_VECTOR)
    assert changed.info.digest != encoder.info.digest
    assert origin_digest(f"timm:resnet10t@{other}", ()) != before


@pytest.mark.parametrize(
    "weights, said",
    [
        ("missing.pth", "missing.pth"),
        ("broken.pth", "cannot be loaded"),
        ("empty.pth", "cannot be loaded"),
        ("tiny.pth", "tiny.pth lacks weights of this model"),
    ],
)
def test_timm_with_a_file_of_no_weights_is_one_line(resnet, tmp_path, weights, said):
    (tmp_path / "broken.pth").write_bytes(b"no weights")
    (tmp_path / "empty.pth").write_bytes(b"")
    torch.save({"a": torch.zeros(3)}, tmp_path / "tiny.pth")  # Of another model.
    with pytest.raises(UserError, match=said) as error:
        load(f"timm:resnet10t@{tmp_path / weights}", schema.POSTER_VECTOR)
    assert len(str(error.value)) < 400


@pytest.fixture(scope="module")
def clip(tmp_path_factory) -> Path:
    """A folder of sentence-transformers with a CLIP model, as its own `save` leaves it."""
    sentence_transformers = pytest.importorskip("sentence_transformers")
    from transformers import CLIPConfig, CLIPImageProcessor, CLIPModel, CLIPTokenizer

    folder = tmp_path_factory.mktemp("clip")
    words = [*map(chr, range(33, 127)), *(f"{chr(n)}</w>" for n in range(33, 127))]
    words += ["<|startoftext|>", "<|endoftext|>"]
    (folder / "vocab.json").write_text(json.dumps({word: n for n, word in enumerate(words)}))
    (folder / "merges.txt").write_text("#version: 0.2\n")
    tower = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2}
    tower |= {"num_attention_heads": 4, "projection_dim": 24}
    torch.manual_seed(0)
    ends = {"bos_token_id": len(words) - 2, "eos_token_id": len(words) - 1}
    config = CLIPConfig(
        text_config=tower | ends | {"vocab_size": len(words), "max_position_embeddings": 77},
        vision_config=tower | {"image_size": 32, "patch_size": 8},
        projection_dim=24,
    )
    CLIPModel(config).save_pretrained(folder / "hf")
    # As CLIP's own: longer texts are cut.
    tokenizer = CLIPTokenizer(
        str(folder / "vocab.json"), str(folder / "merges.txt"), model_max_length=77
    )
    tokenizer.save_pretrained(folder / "hf")
    CLIPImageProcessor(size={"shortest_edge": 32}, crop_size=32).save_pretrained(folder / "hf")
    model = sentence_transformers.SentenceTransformer(str(folder / "hf"), device="cpu")
    model.save(str(folder / "saved"))
    return folder / "saved"


def test_a_clip_model_encodes_pictures_and_texts(clip, pictures):
    from sentence_transformers import SentenceTransformer

    spec = f"sentence-transformers:{clip}"
    model = SentenceTransformer(str(clip), device="cpu")
    texts = ["A boy finds a map.", "War", "Two detectives follow a killer."]
    for feature, inputs in ((schema.POSTER_VECTOR, pictures), (schema.OVERVIEW_VECTOR, texts)):
        encoder = load(spec, feature)
        assert encoder.info.size == 24
        found = encoder.encode(inputs)
        expected = np.asarray(model.encode(inputs), np.float32)
        np.testing.assert_allclose(found, expected, rtol=2e-3, atol=2e-3)
        assert np.abs(found - found[::-1]).max() > 1e-3  # Unlike inputs, unlike vectors.
    # Known by its folder: not loaded where there is nothing to encode.
    assert origin_digest(spec, ()) is not None


def test_preparation_with_clip_and_timm(clip, resnet, tmp_path):
    specs = {"text": f"sentence-transformers:{clip}", "poster": f"timm:resnet10t@{resnet}"}
    options = [f"--{half}-encoder={spec}" for half, spec in specs.items()]
    files = movie_files.make(tmp_path, 40, range(1, 30))
    done = run(command(files, tmp_path / "out", *options, "--all-to", "train"))
    assert done.returncode == 0, done.stderr
    dataset = open_dataset(tmp_path / "out")
    assert dataset.info.vector_sizes == {schema.POSTER_VECTOR: 512, schema.OVERVIEW_VECTOR: 24}
    movies = read_split(dataset, schema.TRAIN, schema.OVERVIEW, *schema.VECTORS)
    texts = load(specs["text"], schema.OVERVIEW_VECTOR).encode(movies[schema.OVERVIEW].tolist())
    np.testing.assert_allclose(movies[schema.OVERVIEW_VECTOR], texts, rtol=2e-3, atol=2e-3)
    assert (movies[schema.POSTER_VECTOR] != 0).any(axis=1).sum() == 29


def test_weights_that_timm_cannot_fetch_are_one_line(tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hub"))
    files = movie_files.make(tmp_path, 5)
    done = run(command(files, tmp_path / "out", "--poster-encoder=timm:resnet18"))
    assert done.returncode == 2, done.stderr
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("error:")]
    assert "timm:resnet18" in line and "Traceback" not in done.stderr
