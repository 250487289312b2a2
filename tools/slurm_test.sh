#!/usr/bin/env bash
# Tests as a Slurm job, on several GPUs where GPUS says so:
#   GPUS=4 tools/slurm_test.sh PARTITION JOB_NAME CONFIG CHECKPOINT [arguments of test.py]
# CHECKPOINT may be the folder of a run: its best checkpoint is found when the job starts, so that
# the job can wait for the training (DEPENDENCY=afterok:ID). More variables: slurm_submit.sh.
set -euo pipefail
# shellcheck source=tools/launch_common.sh
. "$(dirname "${BASH_SOURCE[0]}")/launch_common.sh"
# shellcheck source=tools/slurm_submit.sh
. "$TOOLS/slurm_submit.sh"
[[ $# -ge 4 ]] || usage "${BASH_SOURCE[0]}"
submit "$1" "$2" 0 test.py "$3" -- "$4" --launcher slurm "${@:5}"
