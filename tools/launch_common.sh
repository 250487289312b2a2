# shellcheck shell=bash disable=SC2034  # what is set here is read by the scripts
# What the launch scripts share. Sourced, never run.
#
# PYTHON=python       the interpreter of the environment that holds mmseg_heritage
# SMOKE=1             train one epoch, in a folder of its own, to see that everything works

TOOLS=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)
found=$(command -v "${PYTHON:-python}") || {
  echo "error: ${PYTHON:-python} is no command; activate the environment, or set PYTHON" >&2
  exit 2
}
PYTHON=$found

die() {
  echo "error: $*" >&2
  exit 2
}

# Prints the comment below the first line of a script, which is its help.
usage() {
  sed -n '2,/^[^#]/s/^# \{0,1\}//p' "$1" >&2
  exit 2
}

# Ends unless the argument is a number from 1 on.
require_number() { # NAME VALUE
  [[ $2 =~ ^[1-9][0-9]*$ ]] || die "$1 must be a number from 1 on, found '$2'"
}

# Sets smoke_args to what a trial of one epoch adds to the arguments of train.py.
set_smoke_args() { # NAME_OF_CONFIG
  smoke_args=()
  if [[ ${SMOKE:-0} != 0 ]]; then
    smoke_args=(--work-dir "work_dirs/smoke/$1" --cfg-options max_epochs=1)
  fi
}
