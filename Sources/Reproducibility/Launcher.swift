import Cluster
import Failures
import Foundation
import Machine
import Settings

/// How `ala prove` starts `ala`: alone, or as ranks under `mpirun`.
struct Launcher {
  /// The `ala` program.
  let program: String
  /// `ALA_MPIRUN`, or `mpirun` of the PATH, with what stands before the number of ranks; nil where there is none.
  private let mpirun: [String]?
  private let environment: [String: String]
  /// What the launcher needs of the environment, of which a child gets no variable that could make it a rank.
  private let launcherSettings: [String]

  /// - Parameters:
  ///   - environment: this process's; its settings are not the calls'.
  ///   - folder: for what a job leaves behind.
  init(program: String, environment: [String: String], folder: String) {
    self.program = program
    let given = (environment[EnvironmentSettings.launcher] ?? "").split(separator: " ").map(String.init)
    mpirun = given.isEmpty ? Processes.executable("mpirun", in: environment).map { [$0] } : given
    self.environment = EnvironmentSettings.removed(from: environment)
    // What a killed job leaves shall lie in the folder that is removed. Open MPI refuses to start ranks as root unless it is
    // told twice that this is meant.
    var settings = ["OMPI_MCA_orte_tmpdir_base": folder, "OMPI_MCA_btl_vader_backing_directory": folder]
    for (name, value) in environment where name.hasPrefix("OMPI_MCA_") { settings[name] = value }
    if getuid() == 0 {
      for name in ["OMPI_ALLOW_RUN_AS_ROOT", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM"] { settings[name] = "1" }
    }
    launcherSettings = settings.map { "\($0.key)=\($0.value)" }.sorted()
  }

  /// - Throws: `Failure` 69 where more than one rank is wanted and nothing can start them.
  func check(worlds: [Int]) throws {
    guard let most = worlds.max(), most > 1 else { return }
    guard let mpirun else {
      throw Failure.unavailable(
        "mpirun is not on the PATH, and \(most) ranks need it: install openmpi-bin, name a launcher by "
          + "\(EnvironmentSettings.launcher), or give --ranks 1")
    }
    if mpirun[0].contains("/"), !FileManager.default.isExecutableFile(atPath: mpirun[0]) {
      throw Failure.unavailable("\(mpirun[0]): is no program that can be started (\(EnvironmentSettings.launcher))")
    }
  }

  /// Runs `ala` to its end.
  ///
  /// - Parameters:
  ///   - purpose: what messages say it was for.
  ///   - seconds: after which it is taken to hang.
  ///   - killing: looked at while it runs; once it is true, every process of the call is killed.
  /// - Returns: whether it was killed so.
  /// - Throws: what the call says, with its code; 69 where it does not start or does not end; 75 after a signal.
  func run(
    _ arguments: [String], ranks: Int, purpose: String, seconds: Double, killing: (() -> Bool)? = nil
  ) throws -> Bool {
    let command = ranks == 1 ? [program] : launcherSettings + (mpirun ?? []) + Self.options(ranks: ranks) + [program]
    let signals = SignalWatch()
    var isKilled = false
    // env finds a launcher as a shell would, and gives it the variables that stand before it. mpirun, when it is asked to
    // end, ends its ranks, which are in groups of their own.
    let child = ChildProcess.run(
      "/usr/bin/env", command + arguments, environment: environment, seconds: seconds
    ) { process in
      if !isKilled, killing?() == true {
        isKilled = true
        for rank in Self.children(of: process) + [process] { kill(rank, SIGKILL) }
      }
      return signals.pending == nil
    }
    if signals.pending != nil { throw Failure.interrupted("interrupted; nothing is kept: run the same command again") }
    if isKilled, case .died = child.ending { return true }
    switch child.ending {
    case .exited(0): return false
    case .exited(let code): throw failure(code: code, child.errors, purpose)
    case .died: throw failure(code: ExitCode.internalError.rawValue, child.errors, purpose)
    case .wroteTooMuch: throw Failure.unavailable("\(purpose): wrote more than is expected of it, and was ended")
    case .ranOutOfTime: throw Failure.unavailable("\(purpose): has not ended in \(Int(seconds)) s, and was ended")
    case .didNotStart, .stopped: throw Failure.unavailable("\(purpose): \(program) cannot be started")
    }
  }

  private static func options(ranks: Int) -> [String] {
    let yielding = ranks > Processor.available() ? ["--mca", "mpi_yield_when_idle", "1"] : []
    return ["-np", "\(ranks)", "--oversubscribe", "--bind-to", "none"] + yielding
  }

  /// What a call that has failed says of it.
  private func failure(code: Int32, _ text: String, _ purpose: String) -> Failure {
    let lines = text.split(separator: "\n").map(String.init)
    let own = lines.first { $0.hasPrefix("ala: ") }.map { $0.replacing(/^ala: (error: )?/, with: "") }
    let words = own ?? lines.suffix(3).joined(separator: " ")
    guard let known = ExitCode(rawValue: code), own != nil else {
      return .unavailable("\(purpose): ended with code \(code): \(words)")
    }
    return Failure(known, "\(purpose): \(words)")
  }

  /// The processes that a process has started, and theirs.
  private static func children(of parent: Int32) -> [Int32] {
    var parents: [Int32: Int32] = [:]
    for name in (try? FileManager.default.contentsOfDirectory(atPath: "/proc")) ?? [] {
      guard let process = Int32(name), let fields = Processes.status(of: process), fields.count > 1 else { continue }
      parents[process] = Int32(fields[1])
    }
    var found: [Int32] = []
    var next = [parent]
    while let process = next.popLast() {
      let own = parents.filter { $0.value == process }.map(\.key)
      found += own
      next += own
    }
    return found
  }
}
