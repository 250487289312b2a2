# shellcheck shell=bash
# Starting a tool with torchrun. Sourced by dist_train.sh and dist_test.sh.

dist_run() { # PROCESSES TOOL [ARGUMENTS]
  require_number GPUS "$1"
  local processes=$1 tool=$2 nodes=${NNODES:-1} place
  shift 2
  require_number NNODES "$nodes"
  if [[ $nodes == 1 && -z ${PORT:-} ]]; then
    place=(--standalone) # torchrun finds a free port
  else
    [[ $nodes == 1 || -n ${MASTER_ADDR:-} ]] || die "NNODES=$nodes needs MASTER_ADDR, the first node"
    [[ $nodes == 1 || -n ${NODE_RANK:-} ]] || die "NNODES=$nodes needs NODE_RANK, 0 on the first node"
    place=(--nnodes "$nodes" --node_rank "${NODE_RANK:-0}"
      --master_addr "${MASTER_ADDR:-127.0.0.1}" --master_port "${PORT:-29500}")
  fi
  exec "$PYTHON" -m torch.distributed.run "${place[@]}" --nproc_per_node "$processes" \
    "$TOOLS/$tool" "$1" --launcher pytorch "${@:2}"
}
