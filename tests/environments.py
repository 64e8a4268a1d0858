"""Installs the wheel into other environments than this one, and runs the real commands there.

    python -m tests.environments [--pythons python3.11 python3.12 python3.13]
        [--versions pinned newest] [--situations]

Each Python with the versions of constraints.txt, and with the newest that pip resolves, always in
another folder than the checkout. In the first of them also the situations of real machines: a
read-only home, none, a full disk, a user without a name. Ends with a table.
"""

import argparse
import dataclasses
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

ROOT = Path(__file__).parent.parent
TIMEOUT_S = 900


@dataclasses.dataclass(frozen=True)
class Result:
    """What became of one step in one environment."""

    environment: str
    step: str
    problem: str
    seconds: float


def run(command: list[object], cwd: Path, env: dict[str, str] | None = None) -> tuple[int, str]:
    """Returns the exit code and all output."""
    done = subprocess.run(
        list(map(str, command)),
        cwd=cwd,
        env=env or clean_environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )
    return done.returncode, done.stdout


def clean_environment(**changes: str) -> dict[str, str]:
    """This process' environment without what points to the checkout."""
    env = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    return {**env, **changes}


def problem_of(code: int, output: str) -> str:
    """One line that says what went wrong; empty where nothing did."""
    if code == 0 and "Traceback" not in output:
        return ""
    lines = [line for line in output.strip().splitlines() if line.strip()] or ["no output"]
    return f"exit code {code}: {lines[-1][:160]}"


def build_wheel(folder: Path) -> Path:
    """Returns the wheel of this checkout, made from its sdist as an index would have it."""
    venv = folder / "build"
    subprocess.run([sys.executable, "-m", "venv", venv], check=True)
    subprocess.run([venv / "bin/pip", "install", "--quiet", "build"], check=True)
    tree = folder / "tree"
    files = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True, text=True
    ).stdout.split("\0")
    for name in filter(None, files):
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, tree / name, follow_symlinks=False)
    build = [venv / "bin/python", "-m", "build", "--outdir", folder, tree]
    subprocess.run(build, check=True, stdout=subprocess.DEVNULL)
    (wheel,) = folder.glob("*.whl")
    return wheel


def version_of(python: str) -> str:
    """Returns what a Python calls itself, such as Python 3.12.1."""
    return run([python, "--version"], ROOT)[1].strip()


def install(python: str, versions: str, wheel: Path, folder: Path) -> tuple[Path, str]:
    """Returns the environment's Python, and what went wrong."""
    code, output = run([python, "-m", "venv", folder / "venv"], folder)
    if code:
        return folder, problem_of(code, output)
    own = folder / "venv/bin/python"
    constraints = ["-c", ROOT / "constraints.txt"] if versions == "pinned" else []
    code, output = run([own, "-m", "pip", "install", "--quiet", *constraints, wheel], folder)
    if code:
        errors = [line for line in output.splitlines() if line.startswith("ERROR")]
        return own, (errors or [problem_of(code, output)])[0]
    return own, ""


def commands(python: Path, folder: Path) -> dict[str, list[object]]:
    """The commands of a first hour, in order, on a small demo corpus in `folder`."""
    run_folder, data = folder / "run", folder / "data"
    module = [python, "-m"]
    return {
        "demo_corpus": [*module, "data_prep.demo_corpus", "--out", folder / "raw", "--movies", 200],
        "prepare": [
            *module,
            "data_prep.prepare",
            "--metadata",
            folder / "raw/movies_metadata.csv",
            "--posters",
            folder / "raw/posters",
            "--out",
            data,
        ],
        "verify": [*module, "data_prep.verify", data],
        "main": [
            *module,
            "mmgenre.main",
            "--config=model1:trial",
            f"--config.data.dir={data}",
            f"--workdir={run_folder}",
        ],
        "evaluate": [*module, "mmgenre.evaluate", "--run", run_folder, "--data", data],
        "predict": [
            *module,
            "mmgenre.predict",
            "--run",
            run_folder,
            "--overview",
            "A boy finds a map.",
        ],
        "report": [*module, "mmgenre.report", "--run", run_folder],
        "export": [*module, "mmgenre.export", "--run", run_folder, "--out", folder / "bundle"],
        "check": [*module, "mmgenre.export", "--check", folder / "bundle"],
        "baselines": [*module, "mmgenre.baselines", "--data", data],
    }


def try_commands(
    name: str,
    python: Path,
    folder: Path,
    env: dict[str, str] | None = None,
    prefix: list[object] | None = None,
) -> Iterator[Result]:
    """Runs the commands one after the other, from a folder that is not the checkout."""
    folder.mkdir(exist_ok=True)
    if prefix:
        folder.chmod(0o777)
    for step, command in commands(python, folder).items():
        started = time.monotonic()
        code, output = run([*(prefix or []), *command], folder, env)
        yield Result(name, step, problem_of(code, output), time.monotonic() - started)


def situations(python: Path, folder: Path) -> Iterator[Result]:
    """What real machines do to an installation."""
    home = folder / "read-only-home"
    home.mkdir()
    home.chmod(0o555)
    env = clean_environment(HOME=str(home))
    if os.geteuid() == 0:  # Root may write everywhere: be somebody else.
        yield from as_user("a read-only home", python, folder / "read-only", env)
    else:
        yield from try_commands("a read-only home", python, folder / "read-only", env)
    env = clean_environment()
    del env["HOME"]
    yield from try_commands("no home", python, folder / "no-home", env)
    if os.geteuid() == 0 and shutil.which("setpriv"):
        env = clean_environment(HOME="/nonexistent")
        yield from as_user("a user id without a name", python, folder / "nobody", env)
    yield from full_disk(python, folder / "full")


def as_user(name: str, python: Path, folder: Path, env: dict[str, str]) -> Iterator[Result]:
    """The commands under a user id that the password file does not have."""
    user: list[object] = ["setpriv", "--reuid=12345", "--regid=12345", "--clear-groups"]
    yield from try_commands(name, python, folder, env, user)


def full_disk(python: Path, folder: Path) -> Iterator[Result]:
    """Each command must end in one line where the disk is full; needs the right to mount."""
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=6m", "tmpfs", folder], capture_output=True, check=False
    )
    if mounted.returncode:
        yield Result("a full disk", "mount", "not tried: no right to mount a file system", 0)
        return
    try:
        for step, command in commands(python, folder).items():
            code, output = run(list(command), folder.parent)
            one_line = code in (0, 1, 2) and "Traceback" not in output
            yield Result("a full disk", step, "" if one_line else problem_of(code, output), 0)
    finally:
        subprocess.run(["umount", folder], check=True)


def try_all(args: argparse.Namespace, folder: Path) -> Iterator[Result]:
    wheel = build_wheel(folder)
    first: Path | None = None
    for python in args.pythons:
        for versions in args.versions:
            name = f"{version_of(python)}, {versions}"
            home = folder / name.replace(" ", "-").replace(",", "")
            home.mkdir()
            started = time.monotonic()
            own, problem = install(python, versions, wheel, home)
            yield Result(name, "install", problem, time.monotonic() - started)
            if problem:
                continue
            yield from try_commands(name, own, home / "work")
            first = first or own
    if args.situations and first is not None:
        folder.chmod(0o755)
        yield from situations(first, folder)


def main() -> int:
    """The command line; returns 1 where something does not work."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--pythons", nargs="+", default=[sys.executable])
    parser.add_argument("--versions", nargs="+", default=["pinned", "newest"])
    parser.add_argument("--situations", action="store_true")
    args = parser.parse_args()
    show: Callable[[Result], None] = lambda r: print(  # noqa: E731
        f"{r.environment:32} {r.step:12} {r.seconds:6.1f} s  {r.problem or 'works'}", flush=True
    )
    results = []
    with tempfile.TemporaryDirectory(prefix="environments-") as folder:
        for result in try_all(args, Path(folder)):
            show(result)
            results.append(result)
    failed = [result for result in results if result.problem]
    print(f"{len(results) - len(failed)} passed, {len(failed)} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
