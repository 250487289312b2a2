#!/usr/bin/env bash
# What runs inside a Slurm job; submitted by slurm_train.sh and the others, not meant to be typed.
#   slurm_job.sh TOOLS PYTHON FOLDS TOOL CONFIG... -- [ARGUMENTS]
# {config} in an argument stands for the name of the config.
#
# Preemption: Slurm sends SIGUSR1 before the time limit, or SIGTERM. The run saves a checkpoint and
# exits with 75; the job goes back into the queue, and goes on from the checkpoint.
set -euo pipefail
tools=$1 python=$2 folds=$3 tool=$4
shift 4
configs=()
while [[ $1 != -- ]]; do
  configs+=("$1")
  shift
done
shift

# The best checkpoint of a run, the newest if there are several, as test.py's own folders name it.
best_checkpoint() { # WORK_DIR
  local path best=
  for path in "$1"/best_*.pth; do
    [[ ! -f $path || (-n $best && $best -nt $path) ]] || best=$path
  done
  [[ -n $best ]] || {
    echo "error: $1: no best_*.pth here; has the training validated?" >&2
    exit 2
  }
  echo "$best"
}

exit_preempted=75 # of PreemptionHook
trains=0
[[ $tool != train.py && $tool != benchmark_dg.py ]] || trains=1
index=${SLURM_ARRAY_TASK_ID:-0}
config=${configs[$((folds > 0 ? index / folds : index))]}
name=$(basename "$config" .py)
set -- "${@//\{config\}/"$name"}" # quoted: bash 5.2 takes & for what was found
command=("$python" -u "$tools/$tool" "$config")
if [[ $tool == train.py ]]; then
  ((folds == 0)) || command+=(--fold $((index % folds + 1)))
  command+=("$@")
  ((${SLURM_RESTART_COUNT:-0} == 0)) || command+=(--resume)
elif [[ $tool == benchmark_dg.py ]]; then
  command+=(--run "$index" "$@")
else
  checkpoint=$1
  shift
  [[ ! -d $checkpoint ]] || checkpoint=$(best_checkpoint "$checkpoint")
  command+=("$checkpoint" "$@")
fi

signals=0
step=
# shellcheck disable=SC2317,SC2329  # the traps call it (older and newer shellcheck)
pass_on() { # SIGNAL
  signals=$((signals + 1))
  echo "slurm_job: SIG$1 for job $SLURM_JOB_ID: the run is told to save" >&2
  # To the run itself: srun would take a SIGTERM as its own end.
  scancel --signal=USR1 "$SLURM_JOB_ID" || true
}
if ((trains)); then
  trap 'pass_on USR1' USR1
  trap 'pass_on TERM' TERM
fi

echo "slurm_job: $(hostname), $(date '+%F %T'), restart ${SLURM_RESTART_COUNT:-0}: ${command[*]}"
read -ra more <<<"${SRUN_ARGS:-}"
# One process that dies would leave the others waiting: srun ends them.
srun --kill-on-bad-exit=1 --cpus-per-task="${SLURM_CPUS_PER_TASK:-1}" "${more[@]}" "${command[@]}" &
step=$!
while :; do
  before=$signals
  code=0
  wait "$step" || code=$?
  ((signals != before)) || break # a signal ends the wait, not the run
done

# SIGTERM that Slurm sends to the steps alone comes with a time of preemption.
was_preempted() {
  ((signals > 0)) || scontrol show job -o "$SLURM_JOB_ID" | grep -q ' PreemptTime=[0-9]'
}
# What is canceled, or over its time, is not running any more, and must not come back.
is_running() {
  scontrol show job -o "$SLURM_JOB_ID" | grep -q ' JobState=RUNNING '
}
# 138, 143: the signal came before the run could answer it.
if ((trains)) && [[ $code =~ ^($exit_preempted|138|143)$ ]] && was_preempted && is_running; then
  echo "slurm_job: back into the queue; the run goes on from its last checkpoint" >&2
  scontrol requeue "$SLURM_JOB_ID"
fi
exit "$code"
