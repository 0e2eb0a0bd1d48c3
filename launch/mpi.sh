# What launch/local and launch/hosts share: starting ala under mpirun so that a signal ends in a checkpoint.
# mpirun kills its ranks within a second of TERM or INT. It passes USR1 on to them, which asks for a checkpoint; so
# mpirun gets a session of its own, away from the terminal's signals, and only ever sees USR1.

usage() {
  echo "usage: $1" >&2
  exit 64
}

# run_ala USE CONFIG MPIRUN-ARGUMENTS... -- ALA-ARGUMENTS...
run_ala() {
  use=$1
  config=$2
  shift 2
  case "$use" in
    cache) command=cache ;;
    train | resume) command=train ;;
    *) usage "cache, train or resume; found $use" ;;
  esac
  root=$(cd "$(dirname "$0")/.." && pwd)
  ala=${ALA:-$root/.build/release/ala}
  [ -x "$ala" ] || { echo "$0: $ala is not built: run scripts/quickstart, or set ALA" >&2; exit 69; }

  # Put "ala COMMAND --config CONFIG" where the -- stands.
  count=$#
  while [ "$count" -gt 0 ]; do
    argument=$1
    shift
    count=$((count - 1))
    if [ "$argument" = "--" ]; then
      set -- "$@" "$ala" "$command" --config "$config"
    else
      set -- "$@" "$argument"
    fi
  done

  if [ "$(id -u)" -eq 0 ]; then export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1; fi
  setsid mpirun "$@" &
  child=$!
  trap 'kill -USR1 "$child" 2>/dev/null || true' TERM INT HUP USR1
  # wait returns early when a trap runs; go on until mpirun has ended.
  code=0
  while :; do
    wait "$child" && code=0 || code=$?
    kill -0 "$child" 2>/dev/null || break
  done
  exit "$code"
}
