"""The image of launch/Dockerfile, built and run without Docker; see `tests.clean_root`."""

import shutil

import pytest
from etils import epath

from tests import clean_root
from tests.clean_root import CleanRoot
from tests.commands import ROOT, environment
from tests.scale_helpers import TINY

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not clean_root.can_be_made(), reason="needs root, for mounts and chroot"),
]


def test_every_step_of_the_image_works_and_it_trains(tiny_dataset, tmp_path):
    """But for CUDA's wheels, 3 GB; `test_pip_resolves_the_readme_line` is about them.

    Needs a package index. The image is made of what COPY brings alone: without one of those lines,
    or with another folder in it, a step or a command below fails.
    """
    dockerfile = (ROOT / "launch" / "Dockerfile").read_text()
    assert "[cuda${CUDA},remote]" in dockerfile
    with CleanRoot(tmp_path / "root", ROOT, {"CUDA": "12"}) as image:
        check_image(image, dockerfile, tiny_dataset.path)


def check_image(image: CleanRoot, dockerfile: str, dataset: epath.Path) -> None:
    image.build(dockerfile.replace("[cuda${CUDA},remote]", "[remote]"))
    assert image.user == "mmgenre" and image.steps.count("RUN") == 3

    shown = image.start()
    assert shown.returncode == 0 and "--workdir" in shown.stdout, shown.stderr
    found = image.run(["python", "-c", "import mmgenre; print(mmgenre.__file__)"])
    assert found.stdout == "/app/mmgenre/__init__.py\n"

    shutil.copytree(dataset, image.folder / "data" / "movies")
    image.environment["XLA_FLAGS"] = environment()["XLA_FLAGS"]
    arguments = (*TINY, "--config.data.dir=/data/movies", "--workdir=/data/runs/tiny")
    trained = image.start(*arguments)
    assert trained.returncode == 0, trained.stderr
    assert "report: /data/runs/tiny/report.html" in trained.stdout
    predict = ("mmgenre.predict", "--run", "/data/runs/tiny", "--overview", "A boy finds a map.")
    assert image.run(["python", "-m", *predict]).returncode == 0
    for module in ("mmgenre.report", "data_prep.prepare"):
        assert image.run(["python", "-m", module, "--help"]).returncode == 0

    outside = image.start("--config=configs/model1.py", "--workdir=/usr/share/run")
    assert outside.returncode == 2
    assert "cannot write the run directory /usr/share/run" in outside.stderr

    # Nothing is found elsewhere that a forgotten COPY would leave out.
    for folder, command, code in (
        ("configs", [*image.entrypoint, *arguments], 2),
        ("data_prep", ["python", "-m", "data_prep.prepare", "--help"], 1),
    ):
        shutil.rmtree(image.folder / "app" / folder)
        assert image.run(command).returncode == code
