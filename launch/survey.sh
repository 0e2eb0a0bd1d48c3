# What launch/hosts asks of hosts before it starts mpirun, which tells little of what is wrong and may wait for ever.

# Seconds until ssh gives a host up, and until any agent's answer is given up.
connect_seconds=10
answer_seconds=30
# The most of an answer, in blocks of 512 bytes.
answer_blocks=2048

# survey_hosts HOSTFILE: ends with 65, 66 or 69 and a sentence for every host that cannot take part, or sets
#   crowded            not empty where a host gets more ranks than it has processors
#   repeated           addresses that several hosts have: "172.17.0.1 (docker0)"
#   networks           those of the hosts by which they can be told from each other, with commas between
#   launcher_networks  the same with this machine among them
survey_hosts() {
  [ -f "$1" ] && [ -r "$1" ] || fail 66 "$1: there is no such host file, or it cannot be read"
  hosts=$(read_hosts "$1") || exit 65
  choose_agent
  answers=$(mktemp -d) || fail 73 "${TMPDIR:-/tmp}: cannot be written into"
  trap 'rm -rf "$answers"' EXIT
  # There is nothing to keep yet.
  trap 'echo "$0: ended before anything began" >&2; exit 75' TERM INT HUP USR1
  number=0
  while read -r host slots; do
    number=$((number + 1))
    echo "$host $slots" >"$answers/$number.host"
    ask_host "$host" "$answers/$number" &
  done <<HOSTS
$hosts
HOSTS
  ask_host localhost "$answers/launcher"
  wait
  failures=
  crowded=
  for file in "$answers"/*.host; do
    read -r host slots <"$file"
    judge_answer "$host" "$slots" "${file%.host}"
  done
  [ -z "$failures" ] || exit 69
  compare_addresses
  rm -r "$answers"
  trap - EXIT
}

# read_hosts HOSTFILE: "NAME SLOTS" for each host, 0 slots where the file leaves them to mpirun.
read_hosts() {
  awk -v file="$1" -v command="$0" '
    function refuse(text) {
      print command ": " file ", line " NR ": " text > "/dev/stderr"
      refused = 1
      exit 65
    }
    { sub(/#.*/, ""); gsub(/[ \t]*=[ \t]*/, "=") }
    NF == 0 || /^[ \t]*\^/ { next }
    {
      if ($1 ~ /=/) refuse("\"" $1 "\" where a host is due, such as: node1 slots=4")
      if (!($1 in slots)) { names[++count] = $1; slots[$1] = 0 }
      for (i = 2; i <= NF; i++) {
        if ($i !~ /=/) refuse("\"" $i "\" after the host: one host a line, such as: node1 slots=4")
        value = $i
        sub(/^[^=]*=/, "", value)
        if ($i ~ /^(slots|count|cpu)=/) {
          if (value !~ /^[0-9]+$/ || value + 0 < 1) refuse($i ": a number from 1 is due")
          slots[$1] += value
        }
      }
    }
    END {
      if (refused) exit 65
      if (!count) { print command ": " file ": names no host, such as: node1 slots=4" > "/dev/stderr"; exit 65 }
      for (i = 1; i <= count; i++) print names[i], slots[names[i]]
    }' "$1"
}

# choose_agent: sets agent to what mpirun starts its daemons by, and has ssh give up in time.
choose_agent() {
  agent=${OMPI_MCA_plm_rsh_agent:-ssh}
  previous=
  for word in $given; do
    [ "$previous" != plm_rsh_agent ] || agent=$word
    previous=$word
  done
  agent=${agent%% : *}
  case "${agent%% *}" in
    ssh | */ssh)
      is_set plm_rsh_args ||
        export OMPI_MCA_plm_rsh_args="-o BatchMode=yes -o ConnectTimeout=$connect_seconds" ;;
  esac
  command -v "${agent%% *}" >/dev/null || fail 69 "${agent%% *}, by which hosts are reached, is not on the PATH"
}

# is_local HOST: whether mpirun needs no agent for it.
is_local() {
  case $1 in localhost | 127.* | "$(hostname)" | "$(hostname -s)") return 0 ;; esac
  for address in $(getent ahostsv4 "$1" | awk '{ print $1 }' | sort -u); do
    case " $(hostname -I) " in *" $address "*) return 0 ;; esac
    case $address in 127.*) return 0 ;; esac
  done
  return 1
}

# ask_host HOST FILE: leaves what the host says of itself in FILE.out, complaints in FILE.err, and the agent's code in FILE.code.
ask_host() {
  question='PATH=$PATH:/usr/sbin:/sbin; echo processors $(env -u OMP_NUM_THREADS -u OMP_THREAD_LIMIT nproc);
    [ ! -x "'$ala'" ] || echo program; ! command -v orted >/dev/null || echo orted;
    ip -o -4 address show up 2>/dev/null | while read -r _ name _ address _; do echo address $name $address; done'
  code=0
  if is_local "$1"; then
    sh -c "$question" >"$2.out" 2>"$2.err" || code=$?
  else
    # An agent may have words of its own, and gives the rest to the host's shell as one line.
    # shellcheck disable=SC2086
    (ulimit -f "$answer_blocks"
      exec timeout "$answer_seconds" $agent ${OMPI_MCA_plm_rsh_args:-} "$1" "sh -c '$question'" \
        </dev/null >"$2.out" 2>"$2.err") || code=$?
  fi
  echo "$code" >"$2.code"
}

# judge_answer HOST SLOTS FILE: says what is wrong with a host and sets failures; sets crowded.
judge_answer() {
  code=$(cat "$3.code")
  processors=$(sed -n 's/^processors //p' "$3.out")
  if [ -z "$processors" ]; then
    case $code in
      124) reason="no answer within $answer_seconds s" ;;
      *) reason=$(grep -v '^[[:space:]]*$' "$3.err" | tail -n 1) ;;
    esac
    echo "$0: $1 cannot be reached by ${agent%% *} (${reason:-code $code}): it must let this user in without a" \
      "password; is it named rightly in $hostfile, and running?" >&2
    failures=1
  elif ! grep -q '^program$' "$3.out"; then
    echo "$0: $1 has no program $ala: every host needs the same one at the same path (ALA)" >&2
    failures=1
  elif ! grep -q '^orted$' "$3.out" && ! is_given --prefix; then
    # Open MPI may know by itself where its daemon is.
    echo "$0: $1 has no orted on its PATH: if mpirun does not find it, install Open MPI there (openmpi-bin), or give" \
      "--mpirun --prefix FOLDER" >&2
  fi
  [ "$2" -le "${processors:-$2}" ] || crowded=1
}

# compare_addresses: sets repeated, networks and launcher_networks.
compare_addresses() {
  repeated=$(compare repeated "$answers"/[0-9]*.out)
  networks=$(compare networks "$answers"/[0-9]*.out)
  launcher_networks=$(compare networks "$answers"/*.out)
}

# compare WHAT FILES...: what hosts have in common, or the networks of addresses that one of them has alone: those that all
# hosts are in; where there is none, all.
compare() {
  what=$1
  shift
  awk -v what="$what" '
    function network(text, parts, bytes, size, number) {
      split(text, parts, "/")
      split(parts[1], bytes, ".")
      size = 2 ^ (32 - parts[2])
      number = int((((bytes[1] * 256 + bytes[2]) * 256 + bytes[3]) * 256 + bytes[4]) / size) * size
      return int(number / 2 ^ 24) "." int(number / 2 ^ 16) % 256 "." int(number / 256) % 256 "." number % 256 "/" parts[2]
    }
    FNR == 1 { hosts++ }
    $1 == "address" && $3 !~ /^127\./ {
      if ($3 !~ /\//) $3 = $3 "/32"
      address = $3
      sub(/\/.*/, "", address)
      entries++
      host[entries] = hosts; of[entries] = address; name[address] = $2; net[entries] = network($3)
      all[hosts] = all[hosts] " " address
    }
    END {
      # Two names of one machine have everything in common.
      for (h = 1; h <= hosts; h++) if (known[all[h]]++) isTwin[h] = 1; else machines++
      for (i = 1; i <= entries; i++) {
        if (!isTwin[host[i]] && !seen[host[i], of[i]]++) holders[of[i]]++
      }
      for (i = 1; i <= entries; i++) {
        if (isTwin[host[i]]) continue
        if (holders[of[i]] > 1) {
          if (!told[of[i]]++) list = list (list ? ", " : "") of[i] " (" name[of[i]] ")"
        } else if (!member[net[i], host[i]]++) members[net[i]]++
      }
      if (what == "repeated") { print list; exit }
      for (n in members) if (members[n] == machines) common = common (common ? "," : "") n
      for (n in members) every = every (every ? "," : "") n
      print common ? common : every
    }' "$@"
}
