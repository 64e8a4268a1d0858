"""TFDS, which bears no garbage collection while it is imported."""

import subprocess
import sys

from tests.commands import ROOT, environment

IMPORT = """
import gc, sys
from data_prep.shards import tfds_metadata
meanwhile = 0

def count(*unused):
    global meanwhile
    module = sys.modules.get("tensorflow_datasets")
    meanwhile += module is not None and "core" not in vars(module)

gc.callbacks.append(count)
gc.set_threshold(10, 10**6, 10**6)
tfds_metadata.import_tfds()
print(meanwhile, gc.isenabled())
"""


def test_nothing_is_collected_while_it_is_imported():
    command = [sys.executable, "-c", IMPORT]
    done = subprocess.run(
        command, cwd=ROOT, env=environment(), capture_output=True, text=True, check=True
    )
    assert done.stdout == "0 True\n"
