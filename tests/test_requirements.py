"""The list of hashes for the CPU install agrees with the versions that were tested."""

import re

from tests.commands import ROOT

LINE = re.compile(r"([a-z0-9.-]+)==(\S+) --hash=sha256:[0-9a-f]{64}")


def name_of(text: str) -> str:
    return re.sub(r"[-_.]+", "-", re.match(r"[A-Za-z0-9._-]+", text)[0]).lower()


def test_each_file_has_a_hash_and_the_version_that_was_tested():
    constraints = (ROOT / "constraints.txt").read_text().splitlines()
    tested = {name_of(x): x.partition("==")[2] for x in constraints if "==" in x}
    text = (ROOT / "launch" / "requirements-cpu.txt").read_text()
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    pinned = {name_of(line): LINE.fullmatch(line)[2] for line in lines}
    assert {name: tested.get(name, version) for name, version in pinned.items()} == pinned
    assert pinned.keys() - tested.keys() <= {"setuptools", "wheel"}  # `pip freeze` leaves them out.
    assert "://" not in text
    needed = {"jax", "tensorflow-cpu", "orbax-checkpoint", "pillow", "starlette", "pyarrow"}
    needed |= {"fastapi", "prometheus-client"}
    assert needed <= pinned.keys()
