"""The files under launch/: run for real where this machine can, else checked against schemas."""

import os
import signal
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from mmgenre.errors import LOST_CODE
from tests.commands import ROOT, environment
from tests.scale_helpers import TINY, checkpoint_steps, ended, finish, rows, wait_for_step

LAUNCH = ROOT / "launch"
CRD = os.environ.get("MMGENRE_JOBSET_CRD", "")


@pytest.mark.parametrize("script", ["local.sh", "slurm.sbatch"])
def test_scripts_are_valid_bash(script):
    subprocess.run(["bash", "-n", LAUNCH / script], check=True)


@pytest.mark.slow
def test_local_trains_stops_and_resumes(tiny_dataset, tmp_path):
    workdir = tmp_path / "run"
    settings = [*TINY, f"--config.data.dir={tiny_dataset.path}", f"--workdir={workdir}"]
    first = start_local(2, *settings, "--config.epochs=1000", "--config.patience=0")
    with ended(first):
        wait_for_step(workdir, 6, first)
        first.send_signal(signal.SIGTERM)
        code, output = finish(first)
    assert code == 143, output
    assert "process 1 of 2" in output or "process 0 of 2" in output
    saved = checkpoint_steps(workdir)[-1]
    epochs = saved // (tiny_dataset.split("train").num_movies // 8) + 1
    second = start_local(2, *settings, f"--config.epochs={epochs}", "--config.patience=0")
    with ended(second):
        code, output = finish(second)
    assert code == 0, output
    assert f"resuming from the checkpoint of step {saved}" in output
    assert output.count("results:") == 1, "one process prints"
    steps = [row["step"] for row in rows(workdir) if "train/loss" in row]
    assert steps == sorted(set(steps))


def start_local(processes: int, *arguments: str) -> subprocess.Popen:
    return subprocess.Popen(
        [LAUNCH / "local.sh", str(processes), *arguments],
        cwd=ROOT,
        env={**environment(1), "PYTHON": sys.executable},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_local_passes_a_mistake_on(tmp_path):
    process = start_local(1, *TINY, f"--config.data.dir={tmp_path}", f"--workdir={tmp_path / 'r'}")
    code, output = finish(process)
    assert code == 2
    assert "is not a prepared data set" in output


VERSIONS = [f"1.{minor}.0" for minor in range(26, 38)]


def documents(file: str) -> list[dict]:
    return list(yaml.safe_load_all((LAUNCH / file).read_text()))


@pytest.mark.parametrize("version", VERSIONS)
def test_kubernetes_fits_the_schemas_of_the_api(version):
    validate = pytest.importorskip("kubernetes_validate")
    found = documents("kubernetes.yaml")
    assert [document["kind"] for document in found] == ["Service", "PersistentVolumeClaim", "Job"]
    for document in found:
        validate.validate(document, version, strict=True)


@pytest.mark.parametrize("version", VERSIONS)
def test_jobset_has_a_job_that_fits_the_schemas_of_the_api(version):
    validate = pytest.importorskip("kubernetes_validate")
    claim, jobset = documents("kubernetes-jobset.yaml")
    validate.validate(claim, version, strict=True)
    (replicated,) = jobset["spec"]["replicatedJobs"]
    job = {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "train"}}
    validate.validate({**job, **replicated["template"]}, version, strict=True)


def closed(required: str, **properties: dict) -> dict:
    """The JSON schema of an object that has these properties and no others."""
    names = required.split()
    return {
        "type": "object",
        "properties": properties,
        "required": names,
        "additionalProperties": False,
    }


NAME = {"type": "string", "pattern": "^[a-z]([a-z0-9-]*[a-z0-9])?$"}
COUNT, YES = {"type": "integer", "minimum": 0}, {"type": "boolean"}
ACTIONS = ["FailJobSet", "RestartJobSet", "RestartJobSetAndIgnoreMaxRestarts"]
JOBSET = closed(
    "apiVersion kind metadata spec",
    apiVersion={"const": "jobset.x-k8s.io/v1alpha2"},
    kind={"const": "JobSet"},
    metadata=closed("name", name=NAME),
    spec=closed(
        "replicatedJobs",
        network=closed("", enableDNSHostnames=YES, subdomain=NAME, publishNotReadyAddresses=YES),
        failurePolicy=closed(
            "",
            maxRestarts=COUNT,
            restartStrategy={"enum": ["Recreate", "BlockingRecreate"]},
            rules={
                "type": "array",
                "items": closed(
                    "name action",
                    name={"type": "string", "pattern": "^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$"},
                    action={"enum": ACTIONS},
                    onJobFailureReasons={"type": "array", "items": {"type": "string"}},
                ),
            },
        ),
        replicatedJobs={
            "type": "array",
            "minItems": 1,
            "items": closed("name template", name=NAME, replicas=COUNT, template={}),
        },
    ),
)
"""The part of JobSet v1alpha2 that the manifest uses; the Job's template is checked as a Job."""


def test_jobset_fits_its_schema():
    jsonschema = pytest.importorskip("jsonschema")
    _, jobset = documents("kubernetes-jobset.yaml")
    jsonschema.validate(jobset, JOBSET)
    jobset["spec"]["failurePolicy"]["maxRestart"] = 3
    with pytest.raises(jsonschema.ValidationError, match="maxRestart"):
        jsonschema.validate(jobset, JOBSET)


def strict(schema: Any) -> Any:
    """The same schema, in which objects have no properties but those that it lists."""
    if isinstance(schema, list):
        return [strict(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    listed = {} if schema.get("x-kubernetes-preserve-unknown-fields") else schema
    is_object = isinstance(listed.get("properties"), dict)
    closing = {"additionalProperties": False} if is_object else {}
    return {**closing, **{name: strict(part) for name, part in schema.items()}}


@pytest.mark.skipif(not CRD, reason="MMGENRE_JOBSET_CRD names no file of JobSet's own definition")
def test_jobset_fits_the_definition_of_jobset_itself():
    """Of its repository, config/components/crd/bases/jobset.x-k8s.io_jobsets.yaml: 0.8 MB."""
    jsonschema = pytest.importorskip("jsonschema")
    _, jobset = documents("kubernetes-jobset.yaml")
    versions = yaml.load(Path(CRD).read_text(), yaml.CSafeLoader)["spec"]["versions"]
    name = jobset["apiVersion"].rpartition("/")[2]
    (version,) = [version for version in versions if version["name"] == name]
    schema = strict(version["schema"]["openAPIV3Schema"])
    schema["properties"]["metadata"] = {"type": "object"}  # Kubernetes' own, not listed.
    jsonschema.validate(jobset, schema)
    container = jobset["spec"]["replicatedJobs"][0]["template"]["spec"]["template"]["spec"]
    container["containers"][0]["imagePolicy"] = "Always"
    with pytest.raises(jsonschema.ValidationError, match="imagePolicy"):
        jsonschema.validate(jobset, schema)


def test_both_manifests_start_the_same_pods():
    """But for their names; and a lost pod's survivors count against no limit."""
    *_, job = documents("kubernetes.yaml")
    _, jobset = documents("kubernetes-jobset.yaml")
    (replicated,) = jobset["spec"]["replicatedJobs"]
    other = replicated["template"]["spec"]
    assert job["spec"]["podFailurePolicy"] == other["podFailurePolicy"]
    ignored = [
        rule["onExitCodes"]["values"]
        for rule in other["podFailurePolicy"]["rules"]
        if rule["action"] == "Ignore" and "onExitCodes" in rule
    ]
    assert ignored == [[LOST_CODE, 128 + signal.SIGTERM]]
    pods = [spec["template"]["spec"] for spec in (job["spec"], other)]
    hosts = []
    for pod in pods:
        (container,) = pod["containers"]
        env = {entry["name"]: entry["value"] for entry in container["env"]}
        host, _, port = env.pop("JAX_COORDINATOR_ADDRESS").partition(":")
        hosts.append((host, pod.pop("subdomain", "mmgenre")))
        container["env"] = (env, port)
    assert pods[0] == pods[1]
    assert hosts[1] == ("mmgenre-train-0-0.mmgenre", jobset["metadata"]["name"])
    assert other["completions"] == other["parallelism"] == int(env["JAX_NUM_PROCESSES"])


def test_kubernetes_pods_find_each_other():
    service, claim, job = documents("kubernetes.yaml")
    spec, pod = job["spec"], job["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    env = {entry["name"]: entry["value"] for entry in container["env"]}
    assert spec["completions"] == spec["parallelism"] == int(env["JAX_NUM_PROCESSES"])
    host, _, port = env["JAX_COORDINATOR_ADDRESS"].partition(":")
    assert host == f"{job['metadata']['name']}-0.{pod['subdomain']}"
    assert pod["subdomain"] == service["metadata"]["name"]
    assert int(port) == service["spec"]["ports"][0]["port"]
    assert service["spec"]["selector"] == {"job-name": job["metadata"]["name"]}
    assert pod["volumes"][0]["persistentVolumeClaim"]["claimName"] == claim["metadata"]["name"]


def test_the_image_copies_what_there_is():
    lines = (LAUNCH / "Dockerfile").read_text().splitlines()
    for line in lines:
        if line.startswith("COPY"):
            for source in line.replace("${CUDA}", "12").split()[1:-1]:
                assert (ROOT / source).exists(), line
    assert any(line.startswith("USER ") and "root" not in line for line in lines)


@pytest.mark.parametrize("cuda", ["12", "13"])
def test_cuda_is_pinned_to_the_jax_that_was_tested(cuda):
    """The constraints are; the extra leaves it to whoever installs without them."""
    pins = dict(
        line.split("==")
        for file in ("constraints.txt", f"launch/constraints-cuda{cuda}.txt")
        for line in (ROOT / file).read_text().splitlines()
        if "==" in line
    )
    assert pins["jax"] == pins[f"jax-cuda{cuda}-plugin"] == pins[f"jax-cuda{cuda}-pjrt"]
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert extras["optional-dependencies"][f"cuda{cuda}"] == [f"jax[cuda{cuda}]"]


@pytest.mark.slow
@pytest.mark.parametrize("cuda", ["12", "13"])
def test_pip_resolves_the_readme_line(cuda):
    """For a new environment; nothing is installed. Needs a package index."""
    process = subprocess.run(
        [
            *(sys.executable, "-m", "pip", "install", "--dry-run", "--ignore-installed", "-q"),
            *("-c", "constraints.txt", "-c", f"launch/constraints-cuda{cuda}.txt"),
            *("-e", f".[cuda{cuda}]"),
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert process.returncode == 0, process.stderr


def test_skypilot_recovers_on_spot_instances():
    task = yaml.safe_load((LAUNCH / "skypilot.yaml").read_text())
    assert task["resources"]["use_spot"]
    assert task["resources"]["job_recovery"]["max_restarts_on_errors"] > 0
    for script in (task["setup"], task["run"]):
        subprocess.run(["bash", "-n"], input=script, text=True, check=True)
    minimum = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["requires-python"]
    assert f"--python {minimum.removeprefix('>=')} " in task["setup"]
