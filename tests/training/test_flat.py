"""Over many epochs a run needs no more memory and no more open files."""

import pytest

from tests.scale_helpers import ended, finish, open_files, resident_bytes, start_main, wait_for_step

EPOCHS = 20


@pytest.mark.slow
def test_twenty_epochs_are_flat(tiny_dataset, tmp_path):
    workdir = tmp_path / "run"
    settings = [f"--config.data.dir={tiny_dataset.path}", f"--workdir={workdir}"]
    steps = tiny_dataset.split("train").num_movies // 8
    process = start_main(*settings, "--config.epochs=1000", "--config.patience=0")
    memory, files = [], []
    with ended(process):
        for epoch in range(3, EPOCHS + 3):  # The first ones still compile and fill caches.
            wait_for_step(workdir, epoch * steps, process)
            memory.append(resident_bytes(process.pid))
            files.append(open_files(process.pid))
        process.kill()
        finish(process)
    print(f"MB: {[m >> 20 for m in memory]}; open files: {files}")
    assert max(files[10:]) <= max(files[:10]) + 2, files
    # A third of a percent an epoch, allocators' unrest included; compiling's memory is given back.
    assert max(memory[15:]) <= 1.03 * max(memory[5:10]), memory
