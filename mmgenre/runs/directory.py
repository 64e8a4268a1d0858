"""The folder of a run: everything that resuming, evaluating and predicting need, in one place.

    config.json       the experiment's settings
    dataset.json      the data set it is trained on: name, counts, fingerprints, folder
    tokenizer.json    the data set's tokenizer
    genres.txt        the data set's list of genres, as `prepare --genres` takes it
    checkpoints/      the latest ones and the best one (`mmgenre.runs.checkpoints`)
    metrics.jsonl     a row of metrics a line; TensorBoard's copy is in tensorboard/
    log.txt           what the run printed
    evaluation-<split>.json
    non_finite_loss.json      where training broke down, if it did
    lock                      held while a run writes here (`mmgenre.runs.lock`)

Nothing in it names a place outside it, except the data set's folder, which only training needs:
move the folder to another machine and predict. No JAX, no TensorFlow.
"""

import dataclasses
import json
import os
from typing import Final, Self

from etils import epath

from mmgenre.config import Config
from mmgenre.config_values import flatten, settings
from mmgenre.dataset.prepared import (
    GENRES_FILE,
    DatasetInfo,
    PreparedDataset,
    genre_difference,
)
from mmgenre.errors import UserError
from mmgenre.machine import files, special_files
from mmgenre.machine.json_files import read_json
from mmgenre.runs import object_store, workplace

_ABANDONED_S: Final = 3600.0
"""What nobody has written to for so long, nobody is writing any more."""


@dataclasses.dataclass(frozen=True)
class RunDirectory:
    """Paths in a run's folder, and what is read from it.

    Attributes:
      path: of the folder.
      address: of the object store's folder that `path` is a copy of; "" where it is the run itself.
    """

    path: epath.Path
    address: str = ""

    @property
    def config_file(self) -> epath.Path:
        """The experiment's settings."""
        return self.path / "config.json"

    @property
    def dataset_file(self) -> epath.Path:
        """The data set that the run is trained on."""
        return self.path / "dataset.json"

    @property
    def tokenizer_file(self) -> epath.Path:
        """The tokenizer."""
        return self.path / "tokenizer.json"

    @property
    def genres_file(self) -> epath.Path:
        """The list of genres."""
        return self.path / GENRES_FILE

    @property
    def checkpoints(self) -> epath.Path:
        """Orbax's folder."""
        return self.path / "checkpoints"

    @property
    def metrics_file(self) -> epath.Path:
        """A JSON object a line."""
        return self.path / "metrics.jsonl"

    @property
    def tensorboard(self) -> epath.Path:
        """TensorBoard's event files."""
        return self.path / "tensorboard"

    @property
    def non_finite_file(self) -> epath.Path:
        """The step and the movies at which the loss stopped being finite."""
        return self.path / "non_finite_loss.json"

    @property
    def log_file(self) -> epath.Path:
        """What the run printed."""
        return self.path / "log.txt"

    def evaluation_file(self, split: str) -> epath.Path:
        """The metrics on a split."""
        return self.path / f"evaluation-{split}.json"

    def shown(self, path: epath.PathLike) -> str:
        """Returns how to tell users of a file or folder of the run: where it will stay."""
        name, folder = os.fspath(path), os.fspath(self.path)
        is_in_copy = bool(self.address) and name.startswith(folder)
        return f"{self.address.rstrip('/')}{name[len(folder) :]}" if is_in_copy else name

    def load_config(self) -> Config:
        """Reads the experiment's settings; raises UserError where they are damaged."""
        try:
            return Config.from_json(self.config_file.read_text("utf-8"))
        except (UserError, OSError, ValueError) as error:
            raise UserError(f"{self.config_file}: {error}") from error

    def load_dataset_info(self) -> tuple[DatasetInfo, str]:
        """Reads what the run is trained on: the data set's info and its folder at that time."""
        try:
            fields = read_json(self.dataset_file)
            return DatasetInfo.from_fields(fields["info"]), str(fields["path"])
        except (OSError, ValueError, LookupError, TypeError) as error:
            raise UserError(f"{self.dataset_file} is missing or damaged: {error}") from error

    @classmethod
    def open(cls, path: epath.PathLike, *, checkpoints: bool = True) -> Self:
        """Opens the folder of an earlier run; one on s3:// is copied to this machine first.

        Args:
          path: of the folder.
          checkpoints: whether they are to be copied, too.

        Raises:
          UserError: it is no run, or cannot be read.
        """
        if object_store.is_mirrored(path):
            copy = workplace.copy_of(os.fspath(path), checkpoints=checkpoints)
            run = cls(copy.folder, copy.address)
        else:
            run = cls(epath.Path(path))
        special_files.refuse_endless_in(path)
        if not run.config_file.exists():
            reason = "no config.json in it" if run.path.exists() else "no such folder"
            raise UserError(
                f"{path} is not a run ({reason}); train one with: "
                "mmgenre train --config model1 --workdir <folder>"
            )
        return run

    @classmethod
    def start(
        cls, path: epath.PathLike, config: Config, dataset: PreparedDataset, address: str = ""
    ) -> Self:
        """Makes the folder of a new run, or opens that of the same run to resume it.

        Args:
          path: of the folder.
          config: the experiment.
          dataset: what it is trained on.
          address: see the attribute.

        Raises:
          UserError: the folder cannot be written, or holds a run of other settings or other data.
        """
        run = cls(epath.Path(path), address)
        info = {"path": str(dataset.path), "info": dataset.info.to_fields()}
        try:
            if run.config_file.exists():
                run.check_same(config, dataset.info)
            for folder in (run.path, run.checkpoints, run.tensorboard):
                folder.mkdir(parents=True, exist_ok=True)
            files.sweep(run.path, older_than_s=_ABANDONED_S)
            # The config comes last: a folder with a config is a run.
            files.write_text(run.tokenizer_file, dataset.tokenizer_path.read_text("utf-8"))
            files.write_text(run.genres_file, dataset.genres_text())
            files.write_text(run.dataset_file, json.dumps(info, indent=2, allow_nan=False) + "\n")
            files.write_text(run.config_file, config.to_json())
        except OSError as error:
            raise UserError(f"cannot write the run directory {path}: {error}") from error
        return run

    def check_same(self, config: Config, info: DatasetInfo) -> None:
        """Raises UserError unless this run can go on with these settings and this data set."""
        here = self.shown(self.path)
        old, new = flatten(self.load_config()), flatten(config)
        # A schedule ends with the last epoch, so that other epochs are another schedule.
        scheduled = config.learning_rate_schedule != "constant"
        for name, setting in settings(Config).items():
            may_change = setting.may_change and not (scheduled and name == "epochs")
            if old[name] != new[name] and not may_change:
                why = " (the learning rate's schedule ends with the last epoch)"
                raise UserError(
                    f"{here} holds a run with config.{name} = {old[name]!r}, now it is "
                    f"{new[name]!r}{why if setting.may_change else ''}; resume with the same "
                    "value, or choose another --workdir"
                )
        before, _ = self.load_dataset_info()
        if before.genres != info.genres:
            raise UserError(
                f"{here} holds a run on other genres than {info.name!r} has "
                f"({genre_difference(before.genres, info.genres)}); choose another --workdir"
            )
        if before.tokenizer_sha256 != info.tokenizer_sha256:
            raise UserError(
                f"{here} holds a run on {before.name!r}, whose tokenizer is another one than "
                f"that of {info.name!r}; choose another --workdir (or, to go on with this run on "
                f"new movies, prepare them with --tokenizer {self.tokenizer_file})"
            )
        if before.fingerprint != info.fingerprint:
            raise UserError(
                f"{here} holds a run on the data set {before.name!r} with other contents than "
                f"{info.name!r} has now; choose another --workdir"
            )
