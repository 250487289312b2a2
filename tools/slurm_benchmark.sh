#!/usr/bin/env bash
# Trains and tests several configs, by default three encoders under the SegFormer decoder:
#   tools/slurm_benchmark.sh PARTITION JOB_NAME [CONFIG ...] [-- arguments of train.py]
# MODE=sequence (the default) starts each when the one before it has ended, MODE=array all at once.
# FOLDS=5 trains and tests five folds of each (train --fold) as an array; without it each config is
# tested by a job of its own. Every config has its own folder, work_dirs/<config name>, below the
# current one. SMOKE=1 trains one epoch each. More variables: slurm_submit.sh.
set -euo pipefail
# shellcheck source=tools/launch_common.sh
. "$(dirname "${BASH_SOURCE[0]}")/launch_common.sh"
# shellcheck source=tools/slurm_submit.sh
. "$TOOLS/slurm_submit.sh"
[[ $# -ge 2 ]] || usage "${BASH_SOURCE[0]}"
partition=$1 name=$2 folds=${FOLDS:-0} mode=${MODE:-sequence}
shift 2
[[ $mode == sequence || $mode == array ]] || die "MODE must be sequence or array, found '$mode'"
[[ $folds == 0 ]] || require_number FOLDS "$folds"
configs=()
while [[ $# -gt 0 && $1 != -- ]]; do
  configs+=("$1")
  shift
done
[[ $# == 0 ]] || shift
if [[ ${#configs[@]} == 0 ]]; then
  for encoder in mitb3 convnext-tiny maxvit-tiny; do
    configs+=("$TOOLS/../configs/segformer_${encoder}_artefact.py")
  done
fi
for config in "${configs[@]}"; do
  [[ -f $config || -f $TOOLS/../configs/${config%.py}.py ]] || die "$config: no such config file"
done
for argument in "$@"; do
  [[ $argument != --work-dir* ]] || die "--work-dir would be one folder for all configs; change into another"
done
set_smoke_args '{config}' # slurm_job.sh fills it in
runs=work_dirs
[[ ${#smoke_args[@]} == 0 ]] || runs=work_dirs/smoke
after=${DEPENDENCY:-}

# Submits the training of some configs, and the test of what it leaves; sets trained to its job.
train_and_test() { # CONFIG...
  local count=$(($# * (folds > 0 ? folds : 1))) tested=() stem config
  local ARRAY=
  [[ $# == 1 && $folds == 0 ]] || ARRAY=0-$((count - 1))
  trained=$(DEPENDENCY=$after submit "$partition" "$name" "$folds" train.py "$@" -- \
    --launcher slurm "${smoke_args[@]}" "${arguments[@]}")
  echo "$trained"
  [[ $folds == 0 ]] || return 0
  for config in "$@"; do
    stem=$(basename "$config" .py)
    tested+=("$runs/$stem/$stem.py") # the config as it was run
  done
  local dependency=afterok
  [[ -z $ARRAY ]] || dependency=aftercorr # each test waits for its own training
  [[ -z $trained ]] || dependency=$dependency:$trained
  [[ -n $trained ]] || dependency=
  WAIT=0 DEPENDENCY=$dependency submit "$partition" "$name-test" 0 test.py "${tested[@]}" -- \
    "$runs/{config}" --launcher slurm
}

arguments=("$@")
if [[ $mode == array ]]; then
  train_and_test "${configs[@]}"
else
  for config in "${configs[@]}"; do
    train_and_test "$config"
    [[ -z $trained ]] || after=afterany:$trained
  done
fi
