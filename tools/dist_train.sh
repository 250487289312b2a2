#!/usr/bin/env bash
# Trains on several GPUs (or CPU processes) with torchrun:
#   tools/dist_train.sh CONFIG GPUS [arguments of train.py]
# On several nodes, on each of them:
#   NNODES=2 NODE_RANK=0 MASTER_ADDR=first-node PORT=29500 tools/dist_train.sh CONFIG GPUS_PER_NODE ...
# SMOKE=1 trains one epoch in work_dirs/smoke. PYTHON names the interpreter.
set -euo pipefail
# shellcheck source=tools/launch_common.sh
. "$(dirname "${BASH_SOURCE[0]}")/launch_common.sh"
[[ $# -ge 2 ]] || usage "${BASH_SOURCE[0]}"
config=$1 gpus=$2
shift 2
set_smoke_args "$(basename "$config" .py)"
# shellcheck source=tools/dist_run.sh
. "$TOOLS/dist_run.sh"
dist_run "$gpus" train.py "$config" "${smoke_args[@]}" "$@"
