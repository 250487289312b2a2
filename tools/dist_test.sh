#!/usr/bin/env bash
# Tests on several GPUs (or CPU processes) with torchrun:
#   tools/dist_test.sh [CONFIG] CHECKPOINT GPUS [arguments of test.py]
# Without CONFIG, the one inside the checkpoint.
# Several nodes: see dist_train.sh. PYTHON names the interpreter.
set -euo pipefail
# shellcheck source=tools/launch_common.sh
. "$(dirname "${BASH_SOURCE[0]}")/launch_common.sh"
config=()
if [[ $# -ge 3 && ! $2 =~ ^[0-9]+$ ]]; then
  config=("$1")
  shift
fi
[[ $# -ge 2 ]] || usage "${BASH_SOURCE[0]}"
checkpoint=$1 gpus=$2
shift 2
# shellcheck source=tools/dist_run.sh
. "$TOOLS/dist_run.sh"
dist_run "$gpus" test.py "${config[@]}" "$checkpoint" "$@"
