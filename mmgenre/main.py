"""Trains a model, evaluates it on the held-out test split, and writes both into a run directory.

    python -m mmgenre.main --config configs/model1.py [--config.data.dir=<prepared data set>]
        [--workdir <folder>] [--config.<setting>=<value> ...]
        [--coordinator <host>:<port> --num_processes <N> --process_id <i> [--local_rank <j>]]

Without a data set it builds and uses the demo corpus. Run again with the same workdir, it goes on
from the latest checkpoint. It trains on all devices; on several machines, run the same command on
each (see launch/README.md). `--config model2:trial` shrinks a config, for a first look.
"""

import contextlib
import dataclasses
import gc
import logging
import os
import re
import sys
import textwrap
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from absl import flags
from ml_collections import config_flags

from mmgenre import settings_help
from mmgenre.config import Config
from mmgenre.config_file import ConfigFileParser, built_in_names, explain, load
from mmgenre.config_values import flatten
from mmgenre.distributed import process_place
from mmgenre.distributed.process_place import Membership
from mmgenre.errors import Interrupted, UserError
from mmgenre.machine import compilation_cache, cpu, signals
from mmgenre.machine.command_line import ArgumentParser, program, run_command

# Heavy imports (JAX, TensorFlow) happen in `run`, after the command line has been checked.

if TYPE_CHECKING:
    from mmgenre.runs.directory import RunDirectory

_CONFIG = config_flags.DEFINE_config_file(
    "config",
    help_string="file with get_config(), such as configs/model1.py, or the name of a built-in "
    f"config: {', '.join(built_in_names())}",
    lock_config=True,
)
_CONFIG_PARSER = ConfigFileParser()
flags.FLAGS["config"].parser = _CONFIG_PARSER  # The library's own answers mistakes in tracebacks.
_WORKDIR = flags.DEFINE_string(
    "workdir",
    None,
    "the run directory, also on s3:// and gs://; by default runs/<the config's name>",
)
_COORDINATOR = flags.DEFINE_string(
    "coordinator",
    None,
    "<host>:<port> of process 0; found out under Slurm, Open MPI and Kubernetes",
)
_NUM_PROCESSES = flags.DEFINE_integer(
    "num_processes", None, "processes that train together", lower_bound=1
)
_PROCESS_ID = flags.DEFINE_integer(
    "process_id", None, "this process, from 0 to num_processes - 1", lower_bound=0
)
_LOCAL_RANK = flags.DEFINE_integer(
    "local_rank",
    None,
    "this process among those on its host, from 0: it takes the GPU of that number; known under "
    "Slurm and Open MPI",
    lower_bound=0,
)
_JOIN_TIMEOUT = flags.DEFINE_integer(
    "join_timeout",
    process_place.JOIN_TIMEOUT_S,
    "seconds that processes wait for each other at the start",
    lower_bound=1,
)
flags.DEFINE_bool("help", False, "show this help", short_name="h", allow_override=True)

_log = logging.getLogger(__name__)


def parse_command_line(argv: list[str]) -> tuple[Config, str, Membership | None] | None:
    """Returns the checked config, the workdir and the place among the processes; None after help.

    Raises:
      UserError: an unknown flag or setting, a wrong type, or a config file that cannot be read.
    """
    if "_ARGCOMPLETE" in os.environ:
        _complete()
    if {"--help", "-h", "-help", "--helpfull"} & set(argv[1:]):
        _print_help(argv)
        return None
    if not any(re.match("--?config(=|$)", argument) for argument in argv):
        raise UserError("no config; add --config configs/model1.py")
    # Its parser wants the file before the settings that change it.
    if re.match(r"--?config\.", next(a for a in argv if re.match(r"--?config(=|$|\.)", a))):
        raise UserError("--config comes after a setting; it goes before --config.<name>=<value>")
    try:
        rest = flags.FLAGS(argv)
    except (flags.Error, LookupError, AttributeError, ValueError, TypeError, SyntaxError) as error:
        raise UserError(explain(error, _CONFIG_PARSER.loaded, argv)) from error
    if len(rest) > 1:
        raise UserError(
            f"unexpected argument {rest[1]!r}; settings are given as --config.<name>=<value>"
        )
    config = Config.from_config_dict(_CONFIG.value)
    membership = Membership.detect(
        _COORDINATOR.value,
        _NUM_PROCESSES.value,
        _PROCESS_ID.value,
        os.environ,
        _LOCAL_RANK.value,
    )
    if membership is not None:
        membership = dataclasses.replace(membership, join_timeout_s=_JOIN_TIMEOUT.value)
    return config, _WORKDIR.value or f"runs/{config.name}", membership


def _print_help(argv: list[str]) -> None:
    """Prints the options, and every setting with the value that it has in the config, if any."""
    found = [re.fullmatch("--?config(?:=(.*))?", argument) for argument in argv]
    named = [
        match[1] or (argv[number + 1] if number + 1 < len(argv) else "")
        for number, match in enumerate(found)
        if match is not None
    ]
    named = [name for name in named if name and not name.startswith("-")]
    config = Config.from_config_dict(load(named[-1])) if named else Config()
    of = named[-1] if named else "Model 1, the defaults"
    command = program("mmgenre.main")
    print(__doc__.replace("python -m mmgenre.main", command))
    for flag in sorted(flags.FLAGS.get_key_flags_for_module(sys.modules[__name__]), key=_order):
        text = f"{flag.help} (default: {flag.default})" if flag.default is not None else flag.help
        lines = textwrap.wrap(" ".join(text.split()), 74)
        print(f"  --{flag.name}", *lines, sep="\n      ")
    print(f"\nsettings, with the values of {of}:")
    print(settings_help.as_text(flatten(config)))


def _order(flag: flags.Flag[Any]) -> int:
    """The config first, help last, the others in the order in which they are declared."""
    names = ["config", "workdir", "coordinator", "num_processes", "process_id", "local_rank"]
    return names.index(flag.name) if flag.name in names else len(names) + (flag.name == "help")


def _complete() -> None:
    """Answers a shell that asks how the command line goes on."""
    parser = ArgumentParser()
    for flag in flags.FLAGS.get_key_flags_for_module(sys.modules[__name__]):
        if flag.name not in ("help", "config"):
            parser.add_argument(f"--{flag.name}", help=flag.help)
    parser.add_argument("--config", help="file with get_config()", choices=built_in_names())
    settings_help.add_to(parser)
    parser.parse_args()


def run(config: Config, workdir: str, membership: Membership | None) -> None:
    """Trains and evaluates; what the command does once its arguments are known to be right."""
    compilation_cache.enable()
    if membership is None:
        cpu.use_all_cores(config.batch_size)
    from mmgenre.distributed.cluster import Cluster
    from mmgenre.machine import logs

    logs.log_to_stderr()
    with Cluster(membership) as processes, contextlib.ExitStack() as until_end:
        if not processes.is_first:
            logs.only_warnings()
        _run(config, workdir, processes.is_first, until_end)


def _run(config: Config, workdir: str, is_first: bool, until_end: contextlib.ExitStack) -> None:
    from mmgenre.dataset.prepared import open_dataset
    from mmgenre.distributed import cluster
    from mmgenre.machine import logs
    from mmgenre.runs import workplace
    from mmgenre.runs.directory import RunDirectory

    if not config.data.dir:
        from data_prep.demo_dataset import ensure_demo_dataset

        _log.info("data set: none given with --config.data.dir, so the built-in demo corpus")
        folder = cluster.on_first_process(lambda: str(ensure_demo_dataset()))
        config = dataclasses.replace(config, data=dataclasses.replace(config.data, dir=folder))
    dataset = open_dataset(config.data.dir)
    movies = ", ".join(
        f"{split.num_movies:,} {name}" for name, split in dataset.info.splits.items()
    )
    _log.info("data set: %s (%s; %s)", dataset.info.name, dataset.path, movies)

    place = workplace.Workplace(workdir)

    def start_run() -> None:
        until_end.enter_context(place)
        run = RunDirectory.start(place.folder, config, dataset, place.address)
        logs.log_to_file(run.log_file)
        place.send()  # The other processes read it there.

    cluster.on_first_process(start_run)
    run_directory = RunDirectory(place.folder, place.address)
    if not is_first:
        run_directory = RunDirectory.open(workdir, checkpoints=False)
    # TensorFlow and Orbax take seconds to import: first the answers that need neither.
    from mmgenre.training.compiled_programs import Programs

    programs = Programs(config, dataset)
    if not any(run_directory.checkpoints.glob("*")):
        programs.compile_ahead()
    with _no_garbage_collection():
        from mmgenre.training import trainer

    # In what follows process 0 has more to do than the others, who wait for it: leaving together
    # has a time limit.
    try:
        trainer.train_and_evaluate(config, dataset, run_directory, programs)
    except Interrupted:
        cluster.on_first_process(place.send)
        raise
    cluster.on_first_process(lambda: _write_report(run_directory))
    cluster.on_first_process(place.send)


@contextlib.contextmanager
def _no_garbage_collection() -> Iterator[None]:
    """Importing makes a million objects that stay; looking for garbage among them again and again
    takes a quarter of the time.
    """
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


def _write_report(run_directory: "RunDirectory") -> None:
    """Draws what was measured, where people look at it."""
    from mmgenre.report import tensorboard
    from mmgenre.report.page import write_report

    _log.info("drawing the report")
    print(f"results: {run_directory.shown(run_directory.path)}", flush=True)
    tensorboard.write_test_evaluation(run_directory)
    print(f"report: {run_directory.shown(write_report([run_directory]))}")


def main() -> None:
    """The command line."""
    if parsed := parse_command_line(sys.argv):
        signals.stop_at_once()  # Other processes of a run learn of it by the connection.
        run(*parsed)


if __name__ == "__main__":
    run_command(main)
