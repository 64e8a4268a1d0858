"""Stage 5, encode, on Apache Beam: see `data_prep.encode.encode` for the one on this machine.

A worker takes a part of the workspace at a time. So similar lengths meet in batches of a part, not
of the whole catalogue, and another batch may round a float32 sum otherwise: the vectors are those
of this machine bit for bit where an encoder's answer does not depend on what else is in the batch,
else to the rounding of float16.
"""

import dataclasses
from typing import ClassVar

from data_prep.encode import vector_files
from data_prep.encode.encode import NAME, Encoded, EncodePlan
from data_prep.options import PrepareConfig
from data_prep.workspace import pixel_parts
from data_prep.workspace.movie_file import MovieFile
from data_prep.workspace.progress import Progress
from data_prep.workspace.stages import Stage, Workspace, make_folder
from mmgenre.machine import beam as beam_machine


@dataclasses.dataclass(frozen=True)
class BeamEncode(Stage[Encoded]):
    """Encodes part by part; what is new in a part is encoded, and the rest is kept.

    Attributes:
      plan: what to encode.
      config: of the posters and of Beam.
    """

    plan: EncodePlan
    config: PrepareConfig
    name: ClassVar[str] = NAME
    outcome_type: ClassVar[type[Encoded]] = Encoded

    def key(self) -> str:
        """See `Stage`."""
        return self.plan.key()

    def is_whole(self, workspace: Workspace, outcome: Encoded) -> bool:
        """See `Stage`."""
        return self.plan.is_whole(workspace, outcome)

    def run(self, workspace: Workspace, progress: Progress) -> Encoded:
        """Raises UserError where Beam is not installed."""
        beam = beam_machine.import_beam()
        from data_prep.beam.encode_part import EncodePart  # Imports Beam.

        with MovieFile(workspace.path) as movies:
            parts = range(pixel_parts.num_parts(len(movies)))
        infos = {feature: encoder.info for feature, encoder in self.plan.encoders.items()}
        for feature in infos:
            make_folder(vector_files.folder(workspace.path, feature))
        progress.note(
            f"beam encode: {len(parts):,} parts by {len(infos)} encoders on {self.config.runner}"
        )
        with beam_machine.pipeline(self.config.runner, self.config.beam_options) as pipeline:
            _ = (
                pipeline
                | "Parts" >> beam.Create([(feature, part) for part in parts for feature in infos])
                | "Spread" >> beam.Reshuffle()
                | "Encode" >> beam.ParDo(EncodePart(str(workspace.path), self.config, infos))
            )
        return self.plan.encoded(workspace)
