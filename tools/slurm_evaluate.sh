#!/usr/bin/env bash
# Scores a run as a Slurm job of one process, with a picture of each test image:
#   tools/slurm_evaluate.sh PARTITION JOB_NAME CONFIG WORK_DIR [arguments of test.py]
# WORK_DIR is the folder of the run, whose best checkpoint is found when the job starts, so that the
# job can wait for the training (DEPENDENCY=afterok:ID). Pictures: <WORK_DIR>/evaluation/pictures.
# More variables: slurm_submit.sh.
set -euo pipefail
# shellcheck source=tools/launch_common.sh
. "$(dirname "${BASH_SOURCE[0]}")/launch_common.sh"
# shellcheck source=tools/slurm_submit.sh
. "$TOOLS/slurm_submit.sh"
[[ $# -ge 4 ]] || usage "${BASH_SOURCE[0]}"
[[ $4 != *.pth ]] || die "expected the folder of a run, found the file $4 (slurm_test.sh takes files)"
GPUS=1 submit "$1" "$2" 0 test.py "$3" -- "$4" --show-dir "$4/evaluation/pictures" "${@:5}"
