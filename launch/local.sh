#!/usr/bin/env bash
# Trains with several processes on this machine: on CPUs, or one NVIDIA GPU each.
#
#   launch/local.sh <processes> --config configs/model1.py --workdir runs/model1 [...]
#
# Everything after the number goes to `python -m mmgenre.main`. One process uses all GPUs by itself:
# this script is for trying what a cluster does, and for machines where a process a GPU is faster.
# PYTHON and PORT may be set. Ctrl-C and SIGTERM reach all processes: they save and end.
set -euo pipefail

processes=${1:?"usage: launch/local.sh <processes> <flags of mmgenre.main>"}
shift
python=${PYTHON:-python}
port=${PORT:-$("$python" -c 'import socket; s = socket.socket(); s.bind(("", 0)); print(s.getsockname()[1])')}
gpus=$(nvidia-smi --list-gpus 2>/dev/null | wc -l || true)
if ((gpus > 0 && gpus < processes)); then
  echo "error: $processes processes need a GPU each, this machine has $gpus" >&2
  exit 2
fi

pids=()
for ((i = 0; i < processes; i++)); do
  ((gpus == 0)) || export CUDA_VISIBLE_DEVICES=$i
  "$python" -m mmgenre.main "$@" \
    --coordinator "localhost:$port" --num_processes "$processes" --process_id "$i" &
  pids+=($!)
done

# `wait` returns early when a signal arrives, so it is asked until the process has ended.
trap 'kill -TERM "${pids[@]}" 2>/dev/null || true' TERM INT
code=0
for pid in "${pids[@]}"; do
  while :; do
    status=0
    wait "$pid" || status=$?
    kill -0 "$pid" 2>/dev/null || break
  done
  ((code != 0)) || code=$status # The first failure is the one to report.
done
exit "$code"
