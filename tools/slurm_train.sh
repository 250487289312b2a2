#!/usr/bin/env bash
# Trains as a Slurm job, which saves when it is preempted or near its time limit, and goes on by itself:
#   GPUS=8 tools/slurm_train.sh PARTITION JOB_NAME CONFIG [arguments of train.py]
# FOLDS=5 trains five folds as an array (--fold 1 to 5; split_file names their folder).
# SMOKE=1 trains one epoch in work_dirs/smoke. More variables: slurm_submit.sh.
set -euo pipefail
# shellcheck source=tools/launch_common.sh
. "$(dirname "${BASH_SOURCE[0]}")/launch_common.sh"
# shellcheck source=tools/slurm_submit.sh
. "$TOOLS/slurm_submit.sh"
[[ $# -ge 3 ]] || usage "${BASH_SOURCE[0]}"
partition=$1 name=$2 config=$3
shift 3
for ((i = 1; i < $#; i++)); do
  next=$((i + 1))
  [[ ${!i} != --resume || ${!next} == -* || ${!next} == auto ]] ||
    die "a job that goes back into the queue goes on from its own folder; to start from the" \
      "weights of ${!next}, use --cfg-options load_from=${!next}"
done
if [[ ${FOLDS:-0} != 0 ]]; then
  require_number FOLDS "$FOLDS"
  ARRAY=${ARRAY:-0-$((FOLDS - 1))}
fi
set_smoke_args '{config}' # slurm_job.sh fills it in
submit "$partition" "$name" "${FOLDS:-0}" train.py "$config" -- --launcher slurm "${smoke_args[@]}" "$@"
