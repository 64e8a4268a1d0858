"""Exports a run as a folder that predicts without mmgenre."""

import dataclasses
import functools
import importlib.resources
import json
from pathlib import Path
from typing import TYPE_CHECKING, Final

from mmgenre import schema
from mmgenre.errors import UserError
from mmgenre.machine import files
from mmgenre.models import predict_step

if TYPE_CHECKING:
    from mmgenre.prediction.predictor import GenrePredictor

PLATFORMS: Final = ("cpu", "cuda")

_TRIED: Final = {"0.10.2": ("0.8.3", "0.12.0.1")}
"""The oldest and the newest JAX that ran a bundle, by the JAX that wrote it; 0.7.2 did not."""


def export_run(run: str, out: Path) -> None:
    """Writes the bundle of a run's best checkpoint into a new folder, whole or not at all.

    Raises:
      UserError: no such run, no checkpoint yet, a damaged file, or `out` exists or cannot be made.
    """
    files.require_new(out)
    files.require_folder(out)
    from mmgenre.prediction.predictor import GenrePredictor

    predictor = GenrePredictor.load(run)
    try:
        with files.atomic_folder(out) as staged:
            _write(Path(staged), run, predictor)
    except OSError as error:
        raise UserError(f"cannot write {out}: {error.strerror}") from error


def _write(folder: Path, run: str, predictor: "GenrePredictor") -> None:
    from mmgenre.prediction import bundle

    (folder / bundle.MODEL).write_bytes(serialize_model(predictor))
    predictor.tokenizer.save(folder / "tokenizer.json")
    predictor.rules.save(folder)
    (folder / "MODEL_CARD.md").write_text(model_card(run, predictor), "utf-8")
    shipped = importlib.resources.files("mmgenre.prediction.bundle_files")
    (folder / "example.py").write_text((shipped / "example.py").read_text("utf-8"), "utf-8")
    infos = {name: dataclasses.asdict(i) for name, i in predictor.encoder_infos.items()}
    manifest = {
        "format_version": bundle.VECTORS_VERSION if infos else bundle.FORMAT_VERSION,
        "name": predictor.name,
        "step": predictor.step,
        "genres": predictor.genres,
        "thresholds": predictor.rules.both.thresholds,
        "thresholds_poster_alone": predictor.rules.poster_alone.thresholds,
        "thresholds_overview_alone": predictor.rules.overview_alone.thresholds,
        "max_tokens": predictor.bucket_lengths[-1],
        **({"vectors": infos} if infos else {}),
        "platforms": PLATFORMS,
        "jax": jax_versions(),
        "files": {path.name: bundle.file_digest(path) for path in sorted(folder.iterdir())},
    }
    (folder / bundle.MANIFEST).write_text(
        json.dumps(manifest, indent=1, allow_nan=False) + "\n", "utf-8"
    )


def jax_versions() -> dict[str, str]:
    """Returns the JAX that writes bundles here, and the oldest and newest that they ran on."""
    import jax

    oldest, newest = _TRIED.get(jax.__version__, (jax.__version__, jax.__version__))
    return {"written_by": jax.__version__, "oldest_tried": oldest, "newest_tried": newest}


def serialize_model(predictor: "GenrePredictor") -> bytes:
    """Returns the model as StableHLO, for any batch size, on each of `PLATFORMS`.

    A function of posters <uint8>[b, 64, 64, 3], tokens <int32>[b, max_tokens] and lengths
    <int32>[b], and a vector <float32>[b, size] of each of the model's encoders, poster first, to
    probabilities <float32>[b, genres]; parameters, scales and biases are
    inside: those for movies with both halves, or for those that lack one.
    """
    import jax
    import jax.numpy as jnp
    from jax import export

    from mmgenre.kernels import plain_kernels

    rules = predictor.rules
    by_situation = (rules.both, rules.poster_alone, rules.overview_alone)
    scales = jnp.asarray([rule.scales for rule in by_situation], jnp.float32)
    biases = jnp.asarray([rule.biases for rule in by_situation], jnp.float32)
    predict = functools.partial(predict_step.predict_step, model=predictor.model)

    sizes = predictor.model.vector_sizes

    def probabilities(
        posters: jax.Array, tokens: jax.Array, lengths: jax.Array, *vectors: jax.Array
    ) -> jax.Array:
        batch = {
            # Rounded as records are.
            **{name: x.astype(jnp.float16) for name, x in zip(sizes, vectors, strict=True)},
            schema.POSTER: posters,
            schema.TOKENS: tokens,
            schema.LENGTH: lengths,
            schema.ROW: jnp.zeros_like(lengths),  # Places matter to dropout alone.
        }
        has_poster = posters.any(axis=(1, 2, 3))
        has_overview = (tokens != schema.PAD_ID).any(axis=1)
        situation = jnp.where(has_poster, jnp.where(has_overview, 0, 1), 2)
        logits = predict(predictor.params, batch)
        return jax.nn.sigmoid(logits * scales[situation] + biases[situation])

    (size,) = export.symbolic_shape("b")
    arguments = (
        jax.ShapeDtypeStruct((size, *schema.POSTER_SHAPE), jnp.uint8),
        jax.ShapeDtypeStruct((size, predictor.bucket_lengths[-1]), jnp.int32),
        jax.ShapeDtypeStruct((size,), jnp.int32),
        *(jax.ShapeDtypeStruct((size, width), jnp.float32) for width in sizes.values()),
    )
    with plain_kernels.kernels():  # The fast ones are for this machine's processor.
        exported = export.export(jax.jit(probabilities), platforms=PLATFORMS)(*arguments)
    return bytes(exported.serialize())


def model_card(run: str, predictor: "GenrePredictor") -> str:
    """Returns the model card of a run as Markdown."""
    import jax

    from mmgenre.evaluation import metrics, result_files, tables
    from mmgenre.evaluation.split_record import SplitRecord
    from mmgenre.html.pages import render_text
    from mmgenre.runs.directory import RunDirectory

    directory = RunDirectory.open(run)
    dataset, _ = directory.load_dataset_info()
    record, report = None, None
    predictions = result_files.of_own_data(directory, schema.TEST).predictions
    if predictions.exists():
        record = SplitRecord.load(predictions)
    if record is not None and record.step == predictor.step:
        answers = predictor.rules.answers(record.logits, record.has_poster, record.num_tokens > 0)
        report = metrics.evaluate_probabilities(
            record.labels,
            answers.probabilities,
            answers.thresholds,
            predictor.genres,
            record.logits,
        )
    template = importlib.resources.files("mmgenre.prediction.bundle_files") / "MODEL_CARD.md.j2"
    return render_text(
        template.read_text("utf-8"),
        name=predictor.name,
        step=predictor.step,
        max_tokens=predictor.bucket_lengths[-1],
        encoders=predictor.encoder_infos,
        jax_versions=jax_versions(),
        num_parameters=sum(x.size for x in jax.tree.leaves(predictor.params)),
        dataset=dataset,
        num_genres=len(predictor.genres),
        foreign=record is not None and record.fingerprint != dataset.fingerprint,
        measured_on=record and record.dataset_name,
        report=report,
        overall=[] if report is None else tables.metric_table([report]),
    )
