"""Stages that a preparation's options choose between: where posters come from, and Apache Beam."""

import dataclasses

from data_prep.encode.encode import Encode, Encoded, EncodePlan
from data_prep.options import PrepareConfig
from data_prep.posters.decode import Decode, Decoded
from data_prep.posters.fetch import Fetch, ImageServer, is_fetching, server_config
from data_prep.posters.poster_folder import Folder
from data_prep.posters.poster_source import NoPosters, PosterSource
from data_prep.shards.write import ShardPlan, Write
from data_prep.workspace.stages import Stage
from mmgenre import schema
from mmgenre.catalogue.movie_folder import is_movie_folder, movies_in
from mmgenre.errors import UserError


def with_own_posters(config: PrepareConfig) -> PrepareConfig:
    """The config with the posters beside the movies of a folder, where no others are given."""
    if config.posters is None and is_movie_folder(config.metadata):
        return dataclasses.replace(config, posters=movies_in(config.metadata))
    return config


def needs_fetching(config: PrepareConfig) -> bool:
    """Whether posters come from a server; Beam's workers ask it themselves, while they decode."""
    return config.runner is None and is_fetching(config)


def fetch(config: PrepareConfig) -> Fetch:
    """The stage that fetches posters from a server."""
    return Fetch(ImageServer(server_config(config)), config.ask_again)


def decode(config: PrepareConfig, processes: int) -> Stage[Decoded]:
    """The stage that decodes the posters, here or on Beam."""
    if config.runner is None:
        return Decode(_source(config), processes)
    from data_prep.beam.pipeline import BeamDecode  # Beam takes seconds, and is an extra.

    return BeamDecode(config)


def write(config: PrepareConfig, plan: ShardPlan, processes: int) -> Stage[dict[str, int]]:
    """The stage that writes the shards, here or on Beam."""
    if config.runner is None:
        return Write(plan, processes)
    from data_prep.beam.pipeline import BeamWrite

    return BeamWrite(plan, config)


def encode(config: PrepareConfig, plan: EncodePlan) -> Stage[Encoded]:
    """The stage that encodes overviews and posters, here or on Beam.

    Raises:
      UserError: Beam's workers fetched the posters that are to be encoded.
    """
    if config.runner is not None and schema.POSTER_VECTOR in plan.encoders and is_fetching(config):
        raise UserError(
            "--runner fetches posters on its workers and keeps their pixels alone, which are too "
            "small for --poster-encoder; fetch them first, and give the folder with --posters"
        )
    if config.runner is None:
        return Encode(plan, _source(config))
    from data_prep.beam.encode import BeamEncode

    return BeamEncode(plan, config)


def _source(config: PrepareConfig) -> PosterSource:
    if is_fetching(config):
        return ImageServer(server_config(config))
    if config.posters is not None:
        return Folder(config.posters, config.width)
    return NoPosters()
