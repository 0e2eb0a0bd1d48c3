import Foundation
import TestSupport
import Testing

/// What `launch/local` and `launch/hosts` make of their arguments and of the hosts, before `mpirun` starts: here a program
/// that prints its arguments.

private struct Launch {
  let folder: TemporaryFolder

  /// - Parameter agent: what reaches hosts, a shell script whose first argument is the host.
  init(hosts: String = "", agent: String = "shift; exec sh -c \"$*\"") throws {
    folder = try TemporaryFolder()
    try script("mpirun", "for word; do echo \"$word\"; done; env | grep ^OMPI_MCA_plm_rsh_args || :")
    try script("agent", agent)
    try hosts.write(toFile: "\(folder.path)/hosts", atomically: true, encoding: .utf8)
  }

  func script(_ name: String, _ text: String) throws {
    try "#!/bin/sh\n\(text)\n".write(toFile: "\(folder.path)/\(name)", atomically: true, encoding: .utf8)
    chmod("\(folder.path)/\(name)", 0o755)
  }

  /// - Parameter program: of which hosts are asked.
  func callAsFunction(
    _ launcher: String, _ arguments: [String], _ environment: [String: String] = [:], program: String = "/bin/true"
  ) throws -> (code: Int32, words: [String], errors: String) {
    let path = ProcessInfo.processInfo.environment["PATH"] ?? ""
    let own = [
      "PATH": "\(folder.path):\(path)", "ALA": program, "OMPI_MCA_plm_rsh_agent": "\(folder.path)/agent",
    ]
    let unset = ["LD_LIBRARY_PATH"] + own.keys.filter { environment[$0] == "" }
    let result = try run(
      "/usr/bin/env",
      unset.filter { environment[$0] ?? "" == "" }.flatMap { ["-u", $0] } + ["\(repositoryRoot)/launch/\(launcher)"]
        + (launcher == "hosts" ? ["\(folder.path)/hosts"] : []) + arguments,
      environment: own.merging(environment) { $1 }, seconds: 60)
    return (result.code, result.output.split(separator: "\n").map(String.init), result.errors)
  }
}

/// The values of an option, in order.
private func values(of option: String, in words: [String]) -> [String] {
  zip(words, words.dropFirst()).filter { $0.0 == option }.map(\.1)
}

/// What a parameter of Open MPI is set to.
private func parameter(_ name: String, in words: [String]) -> String? {
  words.firstIndex(of: name).flatMap { $0 > 0 && words[$0 - 1] == "--mca" ? words[$0 + 1] : nil }
}

@Test func hostsGetEveryVariableThatSetsSomethingAndNoneThatIsNotSet() throws {
  let launch = try Launch(hosts: "node1 slots=2\n")
  let variables = [
    "ALA_TRAINING__LR": "1 2\nALA_NOT=1", "OMP_PROC_BIND": "x", "OPENBLAS_CORETYPE": "Haswell",
    "HDF5_USE_FILE_LOCKING": "FALSE",
  ]
  let (code, words, errors) = try launch("hosts", ["train", "c.yaml", "--resume", "never"], variables)
  let passed = values(of: "-x", in: words)
  #expect(
    code == 0 && Set(passed).isSuperset(of: variables.keys) && passed.contains("PATH") && !passed.contains("ALA_NOT")
      && passed.contains("LAUNCH_FIRST_LINE") && !passed.contains("LD_LIBRARY_PATH"), "\(words) \(errors)")
  #expect(words.suffix(6) == ["/bin/true", "train", "--config", "c.yaml", "--resume", "never"], "\(words)")
  let library = try launch("hosts", ["train", "c.yaml"], ["LD_LIBRARY_PATH": "/opt/lib"])
  #expect(values(of: "-x", in: library.words).contains("LD_LIBRARY_PATH"))
}

@Test func wordsBehindTheMarkerAreMpirunsAndStandForOurs() throws {
  let launch = try Launch(hosts: "node1 slots=2\n")
  for (launcher, ranks) in [("local", ["3"]), ("hosts", [])] {
    let more = ["--mpirun", "--bind-to", "core", "--mca", "mpi_yield_when_idle", "0", "--report-bindings"]
    let (code, words, errors) = try launch(launcher, ["resume", "c.yaml"] + ranks + ["--threads", "1"] + more)
    #expect(code == 0, "\(errors)")
    let own = try #require(words.firstIndex(of: "/bin/true"))
    #expect(Array(words[own...]) == ["/bin/true", "train", "--config", "c.yaml", "--threads", "1"], "\(words)")
    #expect(values(of: "--bind-to", in: words) == ["core"] && words[..<own].contains("--report-bindings"), "\(words)")
    #expect(words.count { $0 == "mpi_yield_when_idle" } == 1 && parameter("mpi_yield_when_idle", in: words) == "0")
  }
}

@Test func ranksYieldWhereTheyOutnumberTheProcessors() throws {
  let launch = try Launch(hosts: "node1 slots=1\nnode2 slots=1000\n")
  #expect(parameter("mpi_yield_when_idle", in: try launch("local", ["train", "c.yaml", "1000"]).words) == "1")
  // nproc would say how many threads are asked for.
  #expect(
    parameter("mpi_yield_when_idle", in: try launch("local", ["train", "c.yaml", "1"], ["OMP_NUM_THREADS": "1"]).words)
      == nil)
  #expect(parameter("mpi_yield_when_idle", in: try launch("hosts", ["train", "c.yaml"]).words) == "1")
  let enough = try Launch(hosts: "node1 slots=1\nnode2 slots=1\n")
  #expect(parameter("mpi_yield_when_idle", in: try enough("hosts", ["train", "c.yaml"]).words) == nil)
}

@Test func hostsThatCannotTakePartAreNamedBeforeMpirunStarts() throws {
  let launch = try Launch(
    hosts: "one slots=1\ntwo\nthree slots=2\n",
    agent: """
      case $1 in two) echo "no route to host" >&2; exit 255 ;; three) shift; exec sh -c "ALA=/nowhere; $*" ;; esac
      shift; exec sh -c "$*"
      """)
  let away = try launch("hosts", ["train", "c.yaml"])
  #expect(away.code == 69 && away.words.isEmpty, "\(away)")
  let lines = away.errors.split(separator: "\n")
  #expect(lines.count == 1 && lines[0].contains("two cannot be reached by") && lines[0].contains("(no route to host)"))
  // A program that is on one machine alone.
  try launch.script("agent", "shift; exec unshare -m sh -c \"mount -t tmpfs none '\(launch.folder.path)'; $*\"")
  try launch.script("ala", "")
  let program = "\(launch.folder.path)/ala"
  if try run("/usr/bin/unshare", ["-m", "true"]).code == 0 {
    let missing = try launch("hosts", ["train", "c.yaml"], program: program)
    #expect(missing.code == 69 && missing.words.isEmpty, "\(missing)")
    #expect(missing.errors.split(separator: "\n").count { $0.contains("has no program \(program)") } == 3)
  }
  let agent = try launch("hosts", ["train", "c.yaml"], ["OMPI_MCA_plm_rsh_agent": "no-such-agent"])
  #expect(agent.code == 69 && agent.errors.contains("no-such-agent, by which hosts are reached"), "\(agent)")
}

@Test func sshGivesUpInTime() throws {
  let launch = try Launch(hosts: "node1\n")
  try launch.script(
    "ssh",
    "echo \"$*\" >>'\(launch.folder.path)/calls'; while [ \"$1\" = -o ]; do shift 2; done; shift; exec sh -c \"$*\"")
  let usual = try launch("hosts", ["train", "c.yaml"], ["OMPI_MCA_plm_rsh_agent": ""])
  let options = "-o BatchMode=yes -o ConnectTimeout=10"
  #expect(usual.code == 0 && usual.words.contains("OMPI_MCA_plm_rsh_args=\(options)"), "\(usual)")
  let calls = try String(contentsOfFile: "\(launch.folder.path)/calls", encoding: .utf8)
  #expect(calls.hasPrefix("\(options) node1 sh -c "), "\(calls)")
  let own = try launch(
    "hosts", ["train", "c.yaml"], ["OMPI_MCA_plm_rsh_agent": "", "OMPI_MCA_plm_rsh_args": "-o Port=2222"])
  #expect(own.code == 0 && own.words.contains("OMPI_MCA_plm_rsh_args=-o Port=2222"), "\(own)")
}

@Test(arguments: [
  ("", "names no host"), ("# node1\n\n", "names no host"), ("node1\nnode2 slots=0\n", "line 2: slots=0"),
  ("node1 slots = two", "line 1: slots=two"), ("slots=4\n", "line 1: \"slots=4\""),
  ("node1 node2\n", "line 1: \"node2\""),
])
func aHostFileThatIsWrongIsToldByItsLine(text: String, expected: String) throws {
  let result = try Launch(hosts: text)("hosts", ["train", "c.yaml"])
  #expect(result.code == 65 && result.words.isEmpty && result.errors.contains(expected), "\(result)")
}

@Test func numbersOfRanksThatAreNoneOrStandWhereNoneIsReadAreTold() throws {
  let launch = try Launch(hosts: "node1 slots=2\n")
  func refused(_ launcher: String, _ arguments: [String], _ words: String) throws {
    let (code, output, errors) = try launch(launcher, ["train", "c.yaml"] + arguments)
    #expect(code == 64 && output.isEmpty && errors.contains(words), "\(launcher) \(arguments): \(errors)")
    #expect(errors.contains("usage: launch/\(launcher) "), "\(errors)")
  }
  for word in ["0", "000", "2x", "-1", "1.5", "99999999999999999999"] {
    try refused("local", [word], "\(word) is no number of ranks")
  }
  for words in [["-np", "2"], ["-n", "2"], ["--np", "2"], ["-np=2"], ["--quiet", "-np", "2"], ["3", "-n", "2"]] {
    try refused("local", words, "such as: launch/local train c.yaml 2")
    try refused("hosts", words, "the slots of HOSTFILE say how many")
  }
  try refused("hosts", ["4"], "4: the slots of HOSTFILE say how many")
  let sound = try launch("local", ["train", "c.yaml", "03", "--mpirun", "-np", "2"])
  #expect(sound.code == 0 && values(of: "-np", in: sound.words).contains("03"), "\(sound)")
}

@Test func anAbsentHostFileOrMpirunIsTold() throws {
  let launch = try Launch(hosts: "node1\n")
  unlink("\(launch.folder.path)/hosts")
  let file = try launch("hosts", ["train", "c.yaml"])
  #expect(file.code == 66 && file.errors.contains("\(launch.folder.path)/hosts"), "\(file)")
  for name in ["sh", "dirname", "id", "env", "nproc", "printenv"] {
    symlink("/usr/bin/\(name)", "\(launch.folder.path)/\(name)")
  }
  unlink("\(launch.folder.path)/mpirun")
  let mpirun = try launch("local", ["train", "c.yaml"], ["PATH": launch.folder.path])
  #expect(mpirun.code == 69 && mpirun.errors.contains("mpirun is not on the PATH"), "\(mpirun)")
}

/// Hosts whose addresses a program `ip` makes up.
private func launch(onAddresses addresses: [(host: String, list: [String])]) throws -> Launch {
  let launch = try Launch(
    hosts: addresses.filter { $0.host != "here" }.map { "\($0.host) slots=1\n" }.joined(),
    agent: "host=$1; shift; HOST=$host exec sh -c \"$*\"")
  let cases = addresses.map { host, list in
    "\(host)) " + list.map { "echo '1: \($0.replacingOccurrences(of: "=", with: " inet ")) scope global';" }.joined()
      + ";"
  }
  try launch.script("ip", "case ${HOST:-here} in\n\(cases.joined(separator: "\n"))\nesac")
  return launch
}

@Test func networksOfAddressesThatHostsHaveInCommonAreLeftOut() throws {
  let bridge = "docker0=172.17.0.1/16"
  func networks(_ addresses: [(String, [String])], _ environment: [String: String] = [:]) throws -> [String?] {
    let result = try launch(onAddresses: addresses)("hosts", ["train", "c.yaml"], environment)
    #expect(
      result.code == 0 && result.errors.contains("172.17.0.1 (docker0)") == result.words.contains("btl_tcp_if_include"))
    return [parameter("btl_tcp_if_include", in: result.words), parameter("oob_tcp_if_include", in: result.words)]
  }
  let pair = [("a", ["eth0=10.1.0.7/24", bridge]), ("b", ["eno1=10.1.0.200/24", bridge])]
  #expect(try networks(pair + [("here", ["eth0=10.1.0.9/24"])]) == ["10.1.0.0/24", "10.1.0.0/24"])
  // Two networks, of which one is not everywhere.
  let three = pair + [("c", ["eth0=10.1.0.3/24", "ib0=10.9.1.3/20"])]
  #expect(try networks(three + [("here", ["eth0=10.1.0.9/24"])]) == ["10.1.0.0/24", "10.1.0.0/24"])
  // Hosts behind a router.
  let apart = try networks([("a", ["eth0=10.1.0.7/24", bridge]), ("b", ["eth0=10.2.0.7/24", bridge])])
  #expect(apart[0].map { Set($0.split(separator: ",")) } == ["10.1.0.0/24", "10.2.0.0/24"])
  // Nothing in common; or the user has chosen.
  #expect(try networks([("a", ["eth0=10.1.0.7/24"]), ("b", ["eth0=10.1.0.8/24", bridge])]) == [nil, nil])
  #expect(try networks(pair, ["OMPI_MCA_btl_tcp_if_include": "eth0"]) == [nil, nil])
}

@Test func aVerdictOfTheRanksIsTheJobsCodeWhateverMpirunMakesOfIt() throws {
  let launch = try Launch()
  let sentence = "ala: error: rank 1 on b has not answered for 9 s. The job ends (run.patience_seconds); its files are"
  try launch.script("mpirun", "echo '\(sentence)' >&2; sleep 0.3; echo after >&2; exit 137")
  let result = try launch("local", ["train", "c.yaml"])
  #expect(result.code == 69 && result.errors == "\(sentence)\nafter\n", "\(result)")
  try launch.script("mpirun", "echo a; echo 'no newline' >&2; printf b >&2; exit 65")
  let other = try launch("local", ["train", "c.yaml"])
  #expect(other.code == 65 && other.words == ["a"] && other.errors == "no newline\nb\n", "\(other)")
}
