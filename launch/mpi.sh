# What launch/local, launch/hosts and launch/slurm share: starting ala under mpirun so that a signal ends in a checkpoint.
# mpirun kills its ranks within a second of TERM or INT. It passes USR1 on to them, which asks for a checkpoint; so
# mpirun gets a session of its own, away from the terminal's signals, and only ever sees USR1.
# Whoever reads this file has set launch, the folder that it lies in.

# What starts the ranks: words, to which run_ala adds its own.
launcher=mpirun
# The signal that asked for the checkpoint; empty until one has.
asked_by=

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
    cache | train | evaluate | table) command=$use ;;
    resume) command=train ;;
    *) usage "cache, train, resume, evaluate or table; found $use" ;;
  esac
  # In the archive the program lies in bin, in a checkout where it was built.
  root=$(cd "$launch/.." && pwd)
  ala=${ALA:-$root/bin/ala}
  [ -n "${ALA:-}" ] || [ -x "$ala" ] || ala=$root/.build/release/ala
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
  # The words of launcher are meant.
  # shellcheck disable=SC2086
  setsid $launcher "$@" &
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
    asked_by=$1
    kill -USR1 "$child" 2>/dev/null || true
  elif [ "$1" != USR1 ] && [ $((now - asked)) -ge 2 ] && [ -z "$ended" ]; then
    case $1 in HUP) ended=1 ;; INT) ended=2 ;; *) ended=15 ;; esac
    echo "$0: a second signal: the job is ended; its files are as the last checkpoint left them" >&2
    kill -TERM "$child" 2>/dev/null || true
    # A stopped or deaf process hears nothing but this.
    (sleep 5; kill -KILL -- "-$child" 2>/dev/null) >/dev/null 2>&1 &
  fi
}
