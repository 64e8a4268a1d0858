"""From a SPEC to a frozen encoder that is ready to work.

    sentence-transformers:<name or folder>      texts, and pictures with CLIP-like models
    timm:<name>   timm:<name>@<weights file>    pictures
    <module>:<factory>                          anything: see `encoder.Encoder`

The packages of the first two are the extra `[encoders]`. Training never imports this module.
"""

import importlib
import os
from typing import Final

from mmgenre import schema
from mmgenre.encoders.encoder import Encoder, FrozenEncoder
from mmgenre.encoders.encoder_info import EncoderInfo
from mmgenre.encoders.specs import SENTENCE_TRANSFORMERS, TIMM, check_spec
from mmgenre.errors import UserError, first_line

ELSEWHERE: Final = {
    schema.OVERVIEW_VECTOR: "MMGENRE_TEXT_ENCODER",
    schema.POSTER_VECTOR: "MMGENRE_POSTER_ENCODER",
}
"""Variables of the environment that say where a run's encoder is on this machine, as a SPEC."""


def load(spec: str, feature: str) -> FrozenEncoder:
    """Loads an encoder for a feature of `schema.VECTORS`, onto a GPU where PyTorch has one.

    Raises:
      UserError: `spec` is none, its package is not installed, or there is no such encoder.
    """
    check_spec(spec, feature)
    kind, _, rest = spec.partition(":")
    try:
        if kind == SENTENCE_TRANSFORMERS:
            from mmgenre.encoders.sentence_transformers_model import SentenceTransformersModel

            return FrozenEncoder(SentenceTransformersModel(rest), spec, feature)
        if kind == TIMM:
            from mmgenre.encoders.timm_model import TimmModel

            return FrozenEncoder(TimmModel(*rest.partition("@")[::2]), spec, feature)
        return FrozenEncoder(_from_factory(spec, kind, rest), spec, feature)
    except ModuleNotFoundError as error:
        if error.name is None:  # transformers says no name, but what a part of it fails of.
            raise UserError(f"the encoder {spec} cannot be loaded: {first_line(error)}") from error
        hint = ""
        if kind in (SENTENCE_TRANSFORMERS, TIMM):
            hint = "; install it with: pip install -e '.[encoders]'"
        raise UserError(f"the encoder {spec} needs {error.name}, which is missing{hint}") from error
    except UserError:
        raise
    except Exception as error:  # The libraries and factories raise whatever they meet.
        hint = ""
        if kind == TIMM and "@" not in rest:
            hint = f"; if it cannot be fetched, give a file: {TIMM}:{rest}@<weights file>"
        elif kind == SENTENCE_TRANSFORMERS and not os.path.isdir(rest):
            hint = f"; if it cannot be fetched, give its folder: {kind}:<folder>"
        raise UserError(
            f"the encoder {spec} cannot be loaded: {first_line(error)}{hint}"
        ) from error


def load_same(info: EncoderInfo, feature: str, needed_by: str) -> FrozenEncoder:
    """Loads the encoder that made the vectors of a data set.

    Args:
      info: what is recorded of it.
      feature: of `schema.VECTORS`.
      needed_by: what needs it, for errors.

    Raises:
      UserError: as `load`, or it has other weights.
    """
    spec = os.environ.get(ELSEWHERE[feature]) or info.spec
    try:
        encoder = load(spec, feature)
    except UserError as error:
        raise UserError(
            f"{needed_by} needs its encoder: {error} (or say where it is: "
            f"{ELSEWHERE[feature]}=<SPEC>)"
        ) from error
    if (encoder.info.digest, encoder.info.size) != (info.digest, info.size):
        raise UserError(
            f"{needed_by} needs the encoder {info.name} with the weights {info.digest[:12]}, but "
            f"{spec} has {encoder.info.digest[:12]}; say where the right ones are: "
            f"{ELSEWHERE[feature]}=<SPEC>"
        )
    return encoder


def _from_factory(spec: str, module: str, factory: str) -> Encoder:
    try:
        made: Encoder = getattr(importlib.import_module(module), factory)()
    except AttributeError as error:
        raise UserError(f"the encoder {spec} cannot be loaded: {error}") from error
    return made
