"""Carries out a Dockerfile without Docker, in a folder that becomes the root of the file system.

What stands for the base image: this machine's /usr, which cannot be written, a copy of its /etc,
and a copy of this Python in /usr/local without the packages that are installed in it. Nothing else
of this machine is there but what the Dockerfile copies, and what pip needs to find its index.
"""

import fnmatch
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Self

_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_OF_THE_INDEX = re.compile("PIP_.*|SSL_CERT_(FILE|DIR)|REQUESTS_CA_BUNDLE|[a-zA-Z]+_(PROXY|proxy)")


def can_be_made() -> bool:
    """Whether this user may mount, change the root, and become another user."""
    command = ["unshare", "--mount", "chroot", "--userspec=1000:1000", "/", "true"]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


class CleanRoot:
    """The file system that a Dockerfile makes, step by step, and its settings."""

    def __init__(self, folder: Path, context: Path, arguments: Mapping[str, str]):
        """Makes the base image.

        Args:
          folder: a new one, that is to be the root.
          context: what COPY copies from; its .dockerignore holds.
          arguments: values of ARG other than the Dockerfile's.
        """
        self.folder, self.context = folder, context
        self.workdir, self.user = "/", "root"
        self.entrypoint: list[str] = []
        self.command: list[str] = []
        self.steps: list[str] = []
        self._given, self._arguments = dict(arguments), dict[str, str]()
        self.environment = {"PATH": _PATH}
        for name in ("proc", "dev", "tmp", "usr", "root", "home", "var/log", "var/lib", "run"):
            (folder / name).mkdir(parents=True)
        (folder / "tmp").chmod(0o1777)
        for name in ("bin", "lib", "lib64", "sbin"):
            (folder / name).symlink_to(f"usr/{name}")
        shutil.copytree("/etc", folder / "etc", symlinks=True)
        _remove_users(folder / "etc")
        self._local = folder.with_name(f"{folder.name}-usr-local")
        _copy_python(self._local)
        self.run("ldconfig && python -m ensurepip --default-pip", check=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        """Removes it: it has gigabytes."""
        for folder in (self.folder, self._local):
            shutil.rmtree(folder)

    def build(self, dockerfile: str) -> None:
        """Carries out all instructions; raises AssertionError at the first that fails."""
        lines = re.sub(r"(?m)^\s*#.*\n?", "", dockerfile).replace("\\\n", " ")
        for line in filter(str.strip, lines.splitlines()):
            name, text = line.split(maxsplit=1)
            getattr(self, f"_do_{name.lower()}")(text)
            self.steps.append(name)

    def run(
        self, command: str | list[str], *, check: bool = False, **env: str
    ) -> subprocess.CompletedProcess[str]:
        """Runs a command in the file system, as its user, through a shell if it is a text."""
        words = ["/bin/sh", "-c", command] if isinstance(command, str) else command
        home = "/root" if self.user == "root" else f"/home/{self.user}"
        variables = {"HOME": home, **self._arguments, **self.environment, **env}
        settings = [f"{name}={value}" for name, value in variables.items()]
        cd = ["/bin/sh", "-c", 'cd "$0" && exec "$@"', self.workdir]
        inside = ["chroot", f"--userspec={self.user}", self.folder, "env", "-i", *settings, *cd]
        script = f"{self._mounts()}\nexec {shlex.join(map(str, [*inside, *words]))}"
        process = subprocess.run(
            ["unshare", "--mount", "--propagation=private", "sh", "-ec", script],
            capture_output=True,
            text=True,
            timeout=900,
            check=False,
        )
        output = process.stdout + process.stderr
        assert not check or process.returncode == 0, f"{command}\n{output}"
        return process

    def start(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Runs the image, as `docker run` does: with these arguments, or else those of CMD."""
        return self.run([*self.entrypoint, *(arguments or self.command)])

    def _mounts(self) -> str:
        """The shell's commands that put this machine's parts into the root, for one command."""
        root = self.folder
        parts = [
            f"mount --bind /usr {root}/usr",
            f"mount -o remount,bind,ro {root}/usr",
            f"mount --bind {self._local} {root}/usr/local",
            f"mount --rbind /dev {root}/dev",
            f"mount -t proc proc {root}/proc",
        ]
        for path in _index_paths():
            inside = root / path.relative_to("/")
            if not inside.exists():
                inside.parent.mkdir(parents=True, exist_ok=True)
                inside.mkdir() if path.is_dir() else inside.touch()
            parts.append(f"mount --bind {path} {inside}")
        return "\n".join(parts)

    def _do_from(self, text: str) -> None:
        assert text.startswith("python:"), "what stands for the image is this Python"

    def _do_arg(self, text: str) -> None:
        name, _, default = text.partition("=")
        self._arguments[name] = self._given.get(name, default)

    def _do_env(self, text: str) -> None:
        self.environment |= dict(word.split("=", 1) for word in shlex.split(self._filled(text)))

    def _do_workdir(self, text: str) -> None:
        self.workdir = self._filled(text)
        self._inside(self.workdir).mkdir(parents=True, exist_ok=True)

    def _do_user(self, text: str) -> None:
        self.user = text

    def _do_volume(self, text: str) -> None:
        assert self._inside(text).is_dir(), text

    def _do_run(self, text: str) -> None:
        self.run(text, check=True, **_index_settings())

    def _do_entrypoint(self, text: str) -> None:
        self.entrypoint = _list(text)

    def _do_cmd(self, text: str) -> None:
        self.command = _list(text)

    def _do_copy(self, text: str) -> None:
        *sources, target = self._filled(text).split()
        into = self._inside(target)
        if target.endswith("/"):
            into.mkdir(parents=True, exist_ok=True)
        assert target.endswith("/") or len(sources) == 1, text
        for name in sources:
            source = self.context / name
            assert source.exists() and not self._is_ignored(name), f"COPY {name}: not there"
            if source.is_dir():
                shutil.copytree(source, into, ignore=self._ignored, dirs_exist_ok=True)
            else:
                place = into / source.name if into.is_dir() else into
                place.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(source, place)

    def _ignored(self, folder: str, names: list[str]) -> set[str]:
        place = Path(folder).relative_to(self.context)
        return {name for name in names if self._is_ignored(str(place / name))}

    def _is_ignored(self, name: str) -> bool:
        """Whether .dockerignore keeps a file back: the last pattern that fits counts."""
        is_ignored = False
        for line in (self.context / ".dockerignore").read_text().splitlines():
            pattern = line.strip().removeprefix("!")
            if pattern and not pattern.startswith("#"):
                parents = [str(path) for path in (Path(name), *Path(name).parents)][:-1]
                if any(_fits(path, pattern) for path in parents):
                    is_ignored = not line.startswith("!")
        return is_ignored

    def _filled(self, text: str) -> str:
        """Puts the values of ARG and ENV in, as Docker does everywhere but in RUN."""
        values = {**self._arguments, **self.environment}
        return re.sub(r"\$\{(\w+)\}|\$(\w+)", lambda match: values[match[1] or match[2]], text)

    def _inside(self, path: str) -> Path:
        """Where a path of the image is on this machine."""
        return self.folder / os.path.join(self.workdir, path).lstrip("/")


def _fits(name: str, pattern: str) -> bool:
    """Whether a pattern of .dockerignore is for a name; "**/" stands for any folders, or none."""
    if pattern.startswith("**/"):
        return fnmatch.fnmatchcase(name.rpartition("/")[2], pattern.removeprefix("**/"))
    return name.count("/") == pattern.count("/") and fnmatch.fnmatchcase(name, pattern)


def _list(text: str) -> list[str]:
    """An instruction in its JSON form: the other one would go through a shell."""
    words: list[str] = json.loads(text)
    return words


def _remove_users(etc: Path) -> None:
    """Leaves only the users and groups of the system, as in a base image."""
    lines = {file: (etc / file).read_text().splitlines() for file in ("passwd", "group")}
    people = {
        line.split(":")[0]
        for found in lines.values()
        for line in found
        if 1000 <= int(line.split(":")[2]) < 65000
    }
    for file in ("passwd", "group", "shadow", "gshadow"):
        found = (etc / file).read_text().splitlines()
        kept = [line for line in found if line.split(":")[0] not in people]
        (etc / file).write_text("\n".join(kept) + "\n")


def _copy_python(target: Path) -> None:
    """Copies this Python without the packages that are installed in it."""
    base = Path(sys.base_prefix)

    def left_out(folder: str, names: list[str]) -> set[str]:
        if Path(folder).name == "bin":
            return {name for name in names if not name.startswith("python")}
        return {"site-packages", "test", "__pycache__"} & set(names)

    shutil.copytree(base, target, symlinks=True, ignore=left_out)
    library = f"python{sys.version_info.major}.{sys.version_info.minor}"
    (target / "lib" / library / "site-packages").mkdir()
    if not (target / "bin" / "python").exists():
        (target / "bin" / "python").symlink_to(library)


def _index_settings() -> dict[str, str]:
    """What tells pip its index, of this environment and of pip's files."""
    lines = subprocess.run(
        [sys.executable, "-m", "pip", "config", "list"], capture_output=True, text=True, check=True
    ).stdout.splitlines()
    found = {}
    for line in lines:
        key, _, value = line.partition("=")
        if key.startswith("global."):
            name = key.removeprefix("global.").upper().replace("-", "_")
            found[f"PIP_{name}"] = " ".join(shlex.split(value.strip("'\"").replace("\\n", " ")))
    return found | {k: v for k, v in os.environ.items() if _OF_THE_INDEX.fullmatch(k)}


def _index_paths() -> list[Path]:
    """The files and folders of this machine that those settings name."""
    words = [word for value in _index_settings().values() for word in value.split()]
    found = {Path(word) for word in words if word.startswith("/")}
    # An index of files has its wheels beside it.
    found |= {Path(word.removeprefix("file://")).parent for word in words if "file:///" in word}
    return sorted(p for p in found if p.exists() and not p.is_relative_to("/usr"))
