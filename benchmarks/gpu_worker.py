"""The processes of `benchmarks.gpu`: each compiles its cases and measures one when told to."""

import contextlib
import dataclasses
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from benchmarks.gpu_cases import name_of
from benchmarks.gpu_data import Case
from mmgenre.machine import compilation_cache


class Worker:
    """A process that has compiled its cases and measures one when told to."""

    def __init__(
        self, module: str, python: str, cases: list[Case], folder: Path, job: dict[str, Any]
    ):
        """Starts it and waits until it is ready."""
        self.cases = {name_of(case): case for case in cases}
        file = folder / f"{module}-{len(list(folder.iterdir()))}.json"
        fields = {name: dataclasses.asdict(case) for name, case in self.cases.items()}
        file.write_text(json.dumps({**job, "cases": fields}))
        env = {**os.environ, "XLA_PYTHON_CLIENT_PREALLOCATE": "false"}
        # One GPU for both sides, whatever the machine has.
        env["CUDA_VISIBLE_DEVICES"] = env.get("CUDA_VISIBLE_DEVICES", "0").split(",")[0]
        compilation_cache.enable(env)
        env["JAX_PLATFORMS"] = "cuda" if job["platform"] == "gpu" else "cpu"
        self._process = subprocess.Popen(
            [python, "-m", f"benchmarks.{module}", str(file)],
            env=env,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdin is not None and self._process.stdout is not None
        self._orders, self._answers = self._process.stdin, self._process.stdout
        self._is_alive = True
        self.report = self._receive()
        # One that died says nothing of versions.
        dead = dict.fromkeys(self.cases, self.report)
        self.ready: dict[str, Any] = self.report.pop("answer") if self._is_alive else dead
        self.seconds: dict[str, list[float]] = {
            name: [] for name, ready in self.ready.items() if "error" not in ready
        }

    def _receive(self) -> dict[str, Any]:
        line = self._answers.readline()
        if not line:
            self._is_alive = False
            return {"error": f"the process ended with code {self._process.wait()}; see above"}
        return json.loads(line)

    def measure(self) -> None:
        """Measures each case once."""
        for name, seconds in list(self.seconds.items()):
            answer: Any = {"error": "its process had ended"}
            if self._is_alive:
                self._orders.write(name + "\n")
                self._orders.flush()
                received = self._receive()
                answer = received.get("answer", received)
            if isinstance(answer, dict):  # An error: the others go on.
                self.ready[name] |= answer
                del self.seconds[name]
            else:
                seconds.append(answer)
            print(f"{name}: {answer}", file=sys.stderr, flush=True)

    def close(self) -> None:
        """Ends it."""
        with contextlib.suppress(BrokenPipeError):
            self._orders.close()
        self._answers.close()
        self._process.wait()
