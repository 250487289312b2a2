#!/usr/bin/env bash
# Makes the runs of a benchmark of domain generalization that are left as one array:
#   GRES=gpu:1 tools/slurm_benchmark_dg.sh PARTITION JOB_NAME PLAN [--out DIR]
# Each run is a task on one GPU. MAX_TASKS=8 lets so many run at once. A preempted run goes back
# into the queue and goes on. After the array, or to go on after a failure, give the same command
# again: it submits what is left. Then: benchmark-dg PLAN --out DIR --collect.
# More variables: slurm_submit.sh.
set -euo pipefail
# shellcheck source=tools/launch_common.sh
. "$(dirname "${BASH_SOURCE[0]}")/launch_common.sh"
# shellcheck source=tools/slurm_submit.sh
. "$TOOLS/slurm_submit.sh"
[[ $# -ge 3 ]] || usage "${BASH_SOURCE[0]}"
partition=$1 name=$2 plan=$3
shift 3
[[ ${GPUS:-1} == 1 ]] || die "each run takes one GPU; GPUS=$GPUS is not possible here"
[[ ! -v MAX_TASKS ]] || require_number MAX_TASKS "$MAX_TASKS"
# It also makes the manifests, which the tasks must not make at once.
runs=$("$PYTHON" "$TOOLS/benchmark_dg.py" "$plan" --dry-run "$@")
left=$(awk '$2 == "to" && $3 == "do" {printf "%s%s", comma, $1; comma = ","}' <<<"$runs")
[[ -n $left ]] || die "no run is left to do; collect with: benchmark-dg $plan $* --collect"
ARRAY=$left${MAX_TASKS:+%$MAX_TASKS}
submit "$partition" "$name" "$(wc -l <<<"$runs")" benchmark_dg.py "$plan" -- "$@"
