# What the launchers share: starting ala under mpirun so that a signal ends in a checkpoint, and so that a job that has
# ended ends mpirun, too.
# mpirun kills its ranks within a second of TERM or INT. It passes USR1 on to them, which asks for a checkpoint; so
# mpirun gets a session of its own, away from the terminal's signals, and only ever sees USR1. One that comes before mpirun
# listens, or before there are ranks to pass it on to, is lost: so it is sent again until mpirun has ended.
# Whoever reads this file has set launch, the folder that it lies in.

# What starts the ranks.
launcher=mpirun
# For whoever goes on with the run (Sources/Storage/StartingCommand.swift): the words of this call.
ALA_LAUNCHED=$(printf '%s\037' ${script:+sbatch} "${script:-$0}" "$@") && export ALA_LAUNCHED
# The signal that asked for a checkpoint; empty until one has.
asked_by=

# How ala's sentence on a job that it ends goes on (Sources/Cluster/Watchdog.swift).
verdict="The job ends (run.patience_seconds)"
# Seconds that mpirun has then: it waits for the daemon of a host that is cut off for a quarter of an hour.
verdict_seconds=10
. "$launch/watch.sh"

usage() {
  echo "usage: $1" >&2
  exit 64
}

# fail CODE SENTENCE
fail() {
  echo "$0: $2" >&2
  exit "$1"
}

# misuse SENTENCE FORM
misuse() {
  echo "$0: $1" >&2
  usage "$2"
}

# is_count WORD: whether it is a number from 1, of so many ranks as there may be.
is_count() {
  case $1 in
    *[!0-9]* | "" | ??????*) return 1 ;;
    *) [ "$1" -ge 1 ] ;;
  esac
}

# refuse_counts FORM SENTENCE ARGUMENTS...: ends with 64 where mpirun's option for the number of ranks stands among ala's
# arguments; says how the number is given.
refuse_counts() {
  refuse_form=$1
  refuse_sentence=$2
  shift 2
  while [ $# -gt 0 ] && [ "$1" != --mpirun ]; do
    case $1 in
      -n | --n | -np | --np | -c | -np=* | --np=* | -n[0-9]* | -np[0-9]*) misuse "$1: $refuse_sentence" "$refuse_form" ;;
    esac
    shift
  done
}

# Sets ala to the program: in an archive it lies in bin beside the launchers' folder, in a checkout where it was built.
find_ala() {
  root=$(cd "$launch/.." && pwd)
  ala=${ALA:-$root/bin/ala}
  [ -n "${ALA:-}" ] || [ -x "$ala" ] || ala=$root/.build/release/ala
  [ -x "$ala" ] || fail 69 "$ala is not built: run scripts/quickstart, or set ALA"
}

# note_mpirun_options ARGUMENTS...: sets given to the words behind --mpirun, which are mpirun's; has ranks say a first line
# where it is heard.
note_mpirun_options() {
  given=
  while [ $# -gt 0 ] && [ "$1" != --mpirun ]; do shift; done
  [ $# -eq 0 ] || { shift; given=" $* "; }
  unset LAUNCH_FIRST_LINE
  ! hears_ranks || export LAUNCH_FIRST_LINE="$first_line"
}

# is_given OPTION: whether mpirun gets an option of the user's, which then stands for ours.
is_given() {
  case $given in *" $1 "* | *" -$1 "*) return 0 ;; *) return 1 ;; esac
}

# is_set PARAMETER: whether the user has set a parameter of Open MPI, by an option or in the environment.
is_set() { is_given "$1" || printenv "OMPI_MCA_$1" >/dev/null; }

# processors: those that this process may use. nproc would count threads instead, if told of them.
processors() { env -u OMP_NUM_THREADS -u OMP_THREAD_LIMIT nproc; }

# forwarded: mpirun's options that hand on every variable that sets something, which is to be the same for all ranks.
# mpirun refuses them beside a list of the user's (mca_base_env_list); ranks of this machine alone need none.
forwarded() {
  awk 'BEGIN {
    for (name in ENVIRON)
      if (name ~ /^((ALA|OMP|OPENBLAS|HDF5)_[A-Za-z0-9_]+|PATH|LD_LIBRARY_PATH|LAUNCH_FIRST_LINE)$/) print "-x", name
  }'
}

# run_ala USE CONFIG MPIRUN-ARGUMENTS... -- ALA-ARGUMENTS... [--mpirun MPIRUN-ARGUMENTS...]
run_ala() {
  use=$1
  config=$2
  shift 2
  case "$use" in
    cache | train | evaluate | table) command=$use ;;
    resume) command=train ;;
    *) usage "cache, train, resume, evaluate or table; found $use" ;;
  esac
  find_ala
  command -v "$launcher" >/dev/null ||
    fail 69 "$launcher is not on the PATH: install Open MPI (scripts/install-dependencies)"

  # What stands behind --mpirun comes first; "ala COMMAND --config CONFIG" stands where the -- does.
  count=$#
  settings=
  previous=
  while [ "$count" -gt 0 ] && [ "$1" != --mpirun ]; do
    argument=$1
    shift
    count=$((count - 1))
    if [ "$argument" = "--" ]; then
      set -- "$@" "$ala" "$command" --config "$config"
    else
      set -- "$@" "$argument"
    fi
    case $argument in --set=*) note_patience "${argument#--set=}" ;; esac
    [ "$previous" != --set ] || note_patience "$argument"
    previous=$argument
  done
  [ "$count" -eq 0 ] || shift

  if [ "$(id -u)" -eq 0 ]; then export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1; fi
  pipe=$(mktemp -d) && mkfifo "$pipe/errors" || fail 73 "${TMPDIR:-/tmp}: cannot be written into"
  asked=
  ended=
  judged=
  ending=
  asking=
  watching=
  child=
  early=
  trap judge USR2
  for signal in TERM INT HUP USR1; do
    # A signal that was ignored when this began (nohup) stays so.
    # shellcheck disable=SC2064
    trap "stop $signal" "$signal"
  done
  # It ends when mpirun does; what ends this script or mpirun must not end it before.
  (trap '' TERM INT HUP QUIT PIPE USR1 USR2; pass_errors "$pipe" "$$") &
  reader=$!
  setsid "$launcher" "$@" 2>"$pipe/errors" &
  child=$!
  watch_job 3>&2 >/dev/null 2>&1 &
  watching=$!
  [ -z "$early" ] || stop "$early"
  # wait returns early when a trap runs; go on until mpirun has ended.
  code=0
  while :; do
    wait "$child" && code=0 || code=$?
    kill -0 "$child" 2>/dev/null || break
  done
  for helper in $ending $asking $watching; do kill "$helper" 2>/dev/null || true; done
  if [ -n "$judged$ended" ] || [ -d "$pipe" ]; then end_session; fi
  # What mpirun has left behind may hold its errors open.
  count=20
  while [ "$count" -gt 0 ] && kill -0 "$reader" 2>/dev/null; do sleep 0.1; count=$((count - 1)); done
  if rmdir "$pipe" 2>/dev/null && [ -n "$asked" ]; then
    # There is no rank yet.
    echo "$0: the job has ended at once: there was nothing to keep" >&2
    code=75
  elif [ "$code" -eq 138 ] && [ -n "$asked" ]; then
    # A rank that does not listen yet or has nothing to listen for, or mpirun itself as it ends.
    echo "$0: the job has ended by the signal; what its files hold is kept" >&2
    code=75
  fi
  [ -z "$judged" ] || code=69
  [ -z "$ended" ] || code=$((128 + ended))
  exit "$code"
}

# pass_errors FOLDER PROCESS: writes on what comes through the pipe in a folder, but for the ranks' first lines and what
# mpirun adds to their last, and tells a process of the verdict. Takes the folder away when a rank has begun, or where none would say so.
pass_errors() {
  exec <"$1/errors"
  rm "$1/errors"
  hears_ranks || rmdir "$1"
  begun=
  rule=
  ending_told=
  while IFS= read -r line || [ -n "$line" ]; do
    case $line in
      *"$first_line"*)
        [ -n "$begun" ] || rmdir "$1" 2>/dev/null || true
        begun=1
        line=${line%%"$first_line"*}${line#*"$first_line"}
        # With --tag-output mpirun puts the rank before it.
        case $line in "" | *"<stderr>:") continue ;; esac ;;
    esac
    skip_ending && continue
    printf '%s\n' "$line" >&2 || true
    case $line in
      # Behind the verdict: how mpirun says that a host's daemon is gone, or never came. It may have killed the ranks before
      # one of them could speak.
      *"$verdict"* | "ORTE has lost communication"* | "ORTE was unable to reliably start"* | \
        "An ORTE daemon has unexpectedly failed"*)
        kill -USR2 "$2" 2>/dev/null || true ;;
    esac
  done
  show_rule
  kill -0 "$2" 2>/dev/null || rmdir "$1" 2>/dev/null || true
}

# skip_ending: whether a line is mpirun's on a code that is not 0, between rules: the rank that ended with it has said why.
# Of one that a signal has ended mpirun says more. Holds a rule back until it is known what follows.
skip_ending() {
  case $line in
    ----------*)
      if [ -n "$ending_told" ]; then
        ending_told=
      else
        show_rule
        rule=$line
      fi
      return 0 ;;
    "Primary job  terminated normally, but"* | "mpirun detected that one or more processes exited with non-zero"*)
      [ -z "$rule" ] || ending_told=1
      rule= ;;
    "a non-zero exit code. Per user-direction"* | "the job to be terminated. The first process to do so was"* | \
      "  Process name: "* | "  Exit code: "* | "")
      [ -n "$ending_told" ] || show_rule ;;
    *)
      show_rule
      return 1 ;;
  esac
  [ -n "$ending_told" ]
}

# show_rule: writes a rule that was held back.
show_rule() {
  [ -z "$rule" ] || printf '%s\n' "$rule" >&2 || true
  rule=
}

# judge: the job is over (69): every rank that lives has left, or does now.
judge() {
  [ -z "$judged" ] || return 0
  judged=1
  end_after "$verdict_seconds"
}

# end_after SECONDS: ends mpirun's session, if mpirun is still there by then.
end_after() {
  (sleep "$1"; end_session) >/dev/null 2>&1 &
  ending=$!
}

# ask: asks for a checkpoint until mpirun has ended.
ask() {
  (while kill -USR1 "$child" 2>/dev/null; do sleep 1; done) >/dev/null 2>&1 &
  asking=$!
}

# stop SIGNAL: the first one asks for a checkpoint; one that comes two seconds later or more ends the job, which then
# has not heard it.
stop() {
  if [ -z "$child" ]; then
    early=$1
    return 0
  fi
  now=$(date +%s)
  if [ -z "$asked" ]; then
    asked=$now
    asked_by=$1
    ask
  elif [ "$1" != USR1 ] && [ $((now - asked)) -ge 2 ] && [ -z "$ended" ]; then
    case $1 in HUP) ended=1 ;; INT) ended=2 ;; *) ended=15 ;; esac
    echo "$0: a second signal: the job is ended; its files are as the last checkpoint left them" >&2
    kill -TERM "$child" 2>/dev/null || true
    # A stopped or deaf process hears nothing but this.
    end_after 5
  fi
}
