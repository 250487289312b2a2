# shellcheck shell=bash
# Submitting slurm_job.sh with what the environment says. Sourced by the slurm_*.sh scripts.
#
# GPUS=1              processes of the run, one for each GPU
# GPUS_PER_NODE=8     at most as many on a node; fewer where GPUS is smaller
# CPUS_PER_TASK=5     cores of each process, for its data workers
# GRES=gpu:N          what is asked for on each node; GRES=none on nodes without GPUs
# SBATCH_ARGS         more options of sbatch, such as "--time=8:00:00 --account=museum"
# SRUN_ARGS           more options of srun
# LOG_DIR             where <job name>-<job id>.out goes (work_dirs/slurm)
# DEPENDENCY          such as afterok:12: start when job 12 has succeeded
# SIGNAL_SECONDS=120  a run is told to save so long before its time limit
# WAIT=1              wait for the job's end, and take over its exit code
# TEST_ONLY=1         ask Slurm when it would run, and submit nothing
# The job's number is all that goes to stdout: id=$(tools/slurm_train.sh ...).

# Submits a tool. The configs are alternatives, of which each task of an array takes one; with
# FOLDS, one fold of one.
submit() { # PARTITION JOB_NAME FOLDS TOOL CONFIG... -- [ARGUMENTS]
  local partition=$1 name=$2 gpus=${GPUS:-1} per_node log options
  shift 2
  require_number GPUS "$gpus"
  require_number CPUS_PER_TASK "${CPUS_PER_TASK:-5}"
  per_node=${GPUS_PER_NODE:-$((gpus < 8 ? gpus : 8))}
  require_number GPUS_PER_NODE "$per_node"
  ((per_node <= gpus)) || per_node=$gpus
  ((gpus % per_node == 0)) || die "GPUS=$gpus is no multiple of GPUS_PER_NODE=$per_node"
  command -v sbatch >/dev/null || die "there is no sbatch here: this is not a node of a Slurm cluster"
  mkdir -p "${LOG_DIR:=work_dirs/slurm}"
  log=$(cd "$LOG_DIR" && pwd)/%x-%j.out
  options=(--parsable --partition="$partition" --job-name="$name"
    --nodes=$((gpus / per_node)) --ntasks="$gpus" --ntasks-per-node="$per_node"
    --cpus-per-task="${CPUS_PER_TASK:-5}" --output="$log" --open-mode=append)
  [[ ${GRES:=gpu:$per_node} == none ]] || options+=(--gres="$GRES")
  [[ -z ${DEPENDENCY:-} ]] || options+=(--dependency="$DEPENDENCY" --kill-on-invalid-dep=yes)
  [[ -z ${ARRAY:-} ]] || options+=(--array="$ARRAY")
  if [[ $2 == train.py || $2 == benchmark_dg.py ]]; then
    options+=(--requeue --signal="B:USR1@${SIGNAL_SECONDS:-120}")
  else
    options+=(--no-requeue)
  fi
  [[ ${WAIT:-0} == 0 ]] || options+=(--wait)
  [[ ${TEST_ONLY:-0} == 0 ]] || options+=(--test-only)
  local more
  read -ra more <<<"${SBATCH_ARGS:-}"
  echo "$name: log in $log" >&2
  # In the job this file's folder is Slurm's spool: the job is told where the tools are.
  sbatch "${options[@]}" "${more[@]}" "$TOOLS/slurm_job.sh" "$TOOLS" "$PYTHON" "$@"
}
