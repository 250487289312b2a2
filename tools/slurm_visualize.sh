#!/usr/bin/env bash
# Draws what a model sees as a Slurm job of one process:
#   tools/slurm_visualize.sh PARTITION JOB_NAME CONFIG CHECKPOINT [arguments of visualize.py]
# CHECKPOINT may be the folder of a run (see slurm_test.sh). More variables: slurm_submit.sh.
set -euo pipefail
# shellcheck source=tools/launch_common.sh
. "$(dirname "${BASH_SOURCE[0]}")/launch_common.sh"
# shellcheck source=tools/slurm_submit.sh
. "$TOOLS/slurm_submit.sh"
[[ $# -ge 4 ]] || usage "${BASH_SOURCE[0]}"
[[ -f $TOOLS/visualize.py ]] || die "$TOOLS/visualize.py is missing from this installation"
GPUS=1 submit "$1" "$2" 0 visualize.py "$3" -- "$4" "${@:5}"
