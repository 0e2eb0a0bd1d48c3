# What launchers see of a job that nobody in it can tell of: mpirun starts no rank, or who would have to speak is stopped.
# Whoever reads this file reads launch/mpi.sh.

# What each rank says first, on standard error (Sources/Commands/FirstLine.swift); nobody is shown it.
first_line=ala-has-begun-$$
# The hosts that mpirun starts daemons on, for a sentence; empty where it needs none.
places=

# Seconds between two looks.
look_seconds=2
# Seconds that daemons on many hosts may take to start, however short the job's patience.
start_seconds=60
# run.patience_seconds where the settings cannot be asked.
usual_patience=300

# hears_ranks: whether the ranks' first lines come by here. srun may keep variables from ranks (SLURM_EXPORT_ENV).
hears_ranks() {
  [ "$launcher" = mpirun ] || return 1
  for option in output-filename merge-stderr-to-stdout xml xml-file xterm; do
    ! is_given "-$option" || return 1
  done
  return 0
}

# note_patience SETTING: keeps what --set says of the job's patience.
note_patience() {
  case $1 in run.patience_seconds=*) settings=$1 ;; esac
}

# read_patience: sets patience by the job's settings.
read_patience() {
  [ -z "$patience" ] || return 0
  answer=$(LAUNCH_FIRST_LINE=$first_line "$ala" config --config "$config" ${settings:+--set "$settings"} 2>&1 3>&-) ||
    true
  patience=$(printf '%s\n' "$answer" | awk '$1 == "patience_seconds:" { printf "%d", $2 + 0.5 }')
  patience=${patience:-$usual_patience}
  # Of an older program, or a script around it that keeps its errors elsewhere, no first line is to be waited for.
  case $answer in *"$first_line"*) ;; *) rmdir "$pipe" 2>/dev/null || true ;; esac
}

# watch_job: until it is killed, or the job is over that a killed script has left.
watch_job() {
  rank_name=$(printf %.15s "${ala##*/}")
  going=
  since=
  said=
  patience=
  waited=0
  while sleep "$look_seconds" 3>&- && kill -0 "$child" 2>/dev/null; do
    look_at_job
    if [ -n "$stopped" ]; then
      tell_of_stop
    else
      since=
      said=
      await_first_rank
    fi
  done
}

# tell_of_stop: says so once, when the job has been stopped for as long as it has patience. It may go on, with the same
# bits, so nothing is ended.
tell_of_stop() {
  now=$(date +%s)
  [ -n "$since" ] || since=$now
  read_patience
  [ -z "$said" ] && [ $((now - since)) -ge "$patience" ] || return 0
  echo "$0: $who has been stopped for $((now - since)) s, as by kill -STOP; the job goes on after kill -CONT$stopped," \
    "and a second TERM or INT ends it (run.patience_seconds)" >&3
  said=1
}

# await_first_rank: ends a job without ranks. mpirun starts none before its daemons on all hosts have reported, and has no
# limit of time for one that neither does so nor fails.
await_first_rank() {
  # pass_errors takes the folder away when a rank has begun.
  [ -d "$pipe" ] || return 0
  # Looks are counted: time in which this machine slept is nobody's.
  waited=$((waited + look_seconds))
  [ "$waited" -ge "$start_seconds" ] || return 0
  read_patience
  [ "$waited" -ge "$patience" ] && [ -d "$pipe" ] || return 0
  detail="its daemons on $places have not all reported, as where a shell hangs, or where a host does not reach this one"
  echo "$0: $launcher has neither started a rank nor failed for $waited s${places:+: $detail}. The job ends" \
    "(run.patience_seconds, but at least $start_seconds s)" >&3
  kill -TERM "$child" 2>/dev/null || true
  kill -USR2 "$$" 2>/dev/null || true
  exit 0
}

# look_at_job: sets stopped to the numbers of mpirun if it is stopped, and of this machine's ranks if all are; who to
# their name.
look_at_job() {
  look_at_ranks
  who="every rank on this machine"
  if read_process "/proc/$child/stat" && [ "$state" = T ]; then
    who="$launcher${stopped:+ and $who}"
    stopped=" $child$stopped"
  fi
}

# look_at_ranks: sets going to a rank of this machine that is not stopped; where there is none, stopped to the
# numbers of all.
look_at_ranks() {
  stopped=
  if [ -n "$going" ] && read_rank "/proc/$going/stat" && [ "$state" != T ]; then return 0; fi
  going=
  for status in /proc/[0-9]*/stat; do
    read_rank "$status" || continue
    if [ "$state" != T ]; then
      going=$process
      stopped=
      return 0
    fi
    stopped="$stopped $process"
  done
}

# read_rank FILE: reads a process, if it is a rank of this job.
read_rank() {
  read_process "$1" && [ "$name" = "$rank_name" ] && [ "$state" != Z ] || return 1
  # srun's ranks are children of a daemon of Slurm's.
  [ "$session" = "$child" ] ||
    { [ "$launcher" = srun ] && grep -Fqsxz "SLURM_JOB_ID=$SLURM_JOB_ID" "/proc/$process/environ"; }
}

# read_process FILE: sets process, name, state and session.
read_process() {
  read -r line 2>/dev/null <"$1" || return 1
  process=${line%% *}
  name=${line#*(}
  name=${name%)*}
  # Behind the name stand state, parent, group and session.
  # shellcheck disable=SC2086
  set -- ${line##*) }
  state=${1:-}
  session=${4:-}
}

# end_session: kills what is left of mpirun and of what it has started here; its agents have process groups of their own.
end_session() {
  for status in /proc/[0-9]*/stat; do
    if read_process "$status" && [ "$session" = "$child" ]; then kill -KILL "$process" 2>/dev/null || true; fi
  done
}
