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
  asked=
  ended=
  for signal in TERM INT HUP USR1; do
    # A signal that was ignored when this began (nohup) stays so.
    # shellcheck disable=SC2064
    trap "stop $signal" "$signal"
  done
  # wait returns early when a trap runs; go on until mpirun has ended.
  code=0
  while :; do
    wait "$child" && code=0 || code=$?
    kill -0 "$child" 2>/dev/null || break
  done
  [ -z "$ended" ] || code=$((128 + ended))
  exit "$code"
}

# stop SIGNAL: the first one asks for a checkpoint; one that comes two seconds later or more ends the job, which then
# has not heard it.
stop() {
  now=$(date +%s)
  if [ -z "$asked" ]; then
    asked=$now
    kill -USR1 "$child" 2>/dev/null || true
  elif [ "$1" != USR1 ] && [ $((now - asked)) -ge 2 ] && [ -z "$ended" ]; then
    case $1 in HUP) ended=1 ;; INT) ended=2 ;; *) ended=15 ;; esac
    echo "$0: a second signal: the job is ended; its files are as the last checkpoint left them" >&2
    kill -TERM "$child" 2>/dev/null || true
    # A stopped or deaf process hears nothing but this.
    (sleep 5; kill -KILL -- "-$child" 2>/dev/null) >/dev/null 2>&1 &
  fi
}
