#!/usr/bin/env bash
# Tests on several GPUs (or CPU processes) with torchrun:
#   tools/dist_test.sh CONFIG CHECKPOINT GPUS [arguments of test.py]
# Several nodes: see dist_train.sh. PYTHON names the interpreter.
set -euo pipefail
# shellcheck source=tools/launch_common.sh
. "$(dirname "${BASH_SOURCE[0]}")/launch_common.sh"
[[ $# -ge 3 ]] || usage "${BASH_SOURCE[0]}"
config=$1 checkpoint=$2 gpus=$3
shift 3
# shellcheck source=tools/dist_run.sh
. "$TOOLS/dist_run.sh"
dist_run "$gpus" test.py "$config" "$checkpoint" "$@"
