import ArgumentParser
import Cluster
import Diagnosis
import Failures
import Files
import Foundation
import Machine
import Settings
import Storage
import Synchronization
import Tensor

/// The program from its arguments to its exit code: one rank speaks, all end alike.
package enum Program {
  static let version = "0.1.0"

  /// Of the build, as `main` has been told; empty where that is not known.
  private static let commit = Mutex("")

  /// This program's file, for the child that examines foreign HDF5 files.
  static let path = ChildProcess.ownProgram

  /// Runs the command that the arguments name, or a part of one that the program has started a child for.
  ///
  /// - Parameters:
  ///   - commit: that the program was built from, for `--version`; empty where it is not known.
  ///   - limitOfOwn: of `HDF5Probe.answer`; a program that keeps its libraries' allocator has none.
  /// - Returns: The exit code, the same on every rank.
  package static func main(
    _ arguments: [String], commit: String, limitOfOwn: @escaping (Int) -> Void = { _ in }
  ) -> Int32 {
    letWritesFail()
    FirstLine.say()
    self.commit.withLock { $0 = commit }
    HDF5Probe.answer(arguments, limitOfOwn: limitOfOwn)
    BLASKernel.choose()
    if arguments == [UnforcedRate.command] { UnforcedRate.answer() }
    return run(arguments)
  }

  private static func run(_ arguments: [String]) -> Int32 {
    let parsed = Result { try parse(arguments) }
    let cluster: Cluster
    do {
      try checkProcessor()
      if let problem = StackRoom.problem { throw Failure.unavailable(problem) }
      cluster = try Cluster(patience: (try? parsed.get())?.patience)
    } catch {
      StandardError.note("ala: error: \(error)")
      return Cluster.failure(of: error).code.rawValue
    }
    let code = run(arguments, parsed, on: cluster)
    cluster.finish()
    return code
  }

  private static func run(
    _ arguments: [String], _ parsed: Result<any ClusterCommand, any Error>, on cluster: Cluster
  ) -> Int32 {
    if case .success(let command) = parsed, command.isSharedByRanks,
      let launcher = ForeignLauncher(ProcessInfo.processInfo.environment, size: cluster.size)
    {
      if launcher.isFirst { StandardError.note("ala: error: \(launcher.refusal)") }
      return launcher.refusal.code.rawValue
    }
    let misuse = misuse(parsed)
    let misusing = cluster.sum(misuse == nil ? 0 : 1)
    if let misuse, misusing == cluster.size {
      if cluster.isRoot { StandardError.note(misuse) }
      return ExitCode.usage.rawValue
    }
    return end(cluster) {
      try RollCall.compare(arguments, on: cluster)
      try cluster.share(misuse.map { .usage($0) })
      switch parsed {
      case .success(let command):
        if !(command is DoctorCommand) { try RollCall.compareProgram(on: cluster) }
        try cluster.agree {
          try GivenBytes.check()
          try EnvironmentSettings.check(ProcessInfo.processInfo.environment)
        }
        // Signals that nobody watches for end the process.
        if command.endsOnSignals { HeldSignals.release() } else { _ = SignalWatch() }
        try command.run(on: cluster)
      case .failure(let help):
        try cluster.onRoot { try StandardOutput.print(Ala.fullMessage(for: help)) }
      }
    }
  }

  private static func parse(_ arguments: [String]) throws -> ClusterCommand {
    if let problem = GivenBytes.problemOfArguments() { throw ValidationError(problem) }
    try checkName(arguments.first ?? "")
    var command = try Ala.parseAsRoot(arguments.map(expandingHome(inArgument:)))
    try checkOut(arguments)
    if let command = command as? ClusterCommand { return command }
    if arguments.first == "help" { try checkName(arguments.dropFirst().first ?? "") }
    // Help is a command of the parser's own, which ends by throwing its text.
    try command.run()
    throw CleanExit.helpRequest()
  }

  /// Nothing has an empty name; many commands have such an option.
  private static func checkOut(_ arguments: [String]) throws {
    guard zip(arguments, arguments.dropFirst()).contains(where: { $0 == ("--out", "") }) else { return }
    throw ValidationError("--out is empty; expected the name of a file or a folder")
  }

  /// ArgumentParser speaks of the options of a command that is not there instead.
  private static func checkName(_ name: String) throws {
    let names = Ala.configuration.subcommands.compactMap { $0.configuration.commandName }
    guard !name.isEmpty, !name.hasPrefix("-"), name != "help", !names.contains(name) else { return }
    let nearest =
      names.first { name.count > 1 && $0.hasPrefix(name) }
      ?? names.min { editDistance(name, $0) < editDistance(name, $1) } ?? ""
    throw ValidationError(
      "there is no command \(name); "
        + (isNear(name, nearest) ? "the nearest is \(nearest)" : "ala --help lists those that there are"))
  }

  /// ArgumentParser's words on arguments that it cannot take; nil for a command, and for help and version, which it
  /// throws too.
  private static func misuse(_ parsed: Result<ClusterCommand, Error>) -> String? {
    guard case .failure(let error) = parsed, !Ala.exitCode(for: error).isSuccess else { return nil }
    return withoutFarHint(Ala.fullMessage(for: error))
  }

  /// ArgumentParser names the nearest option, however far it is.
  private static func withoutFarHint(_ text: String) -> String {
    guard let hint = text.firstMatch(of: /Unknown option '-*([^']+)'\. (Did you mean '-*([^']+)'\?)/),
      !isNear(String(hint.1), String(hint.3))
    else { return text }
    return text.replacingCharacters(in: hint.2.startIndex..<hint.2.endIndex, with: "--help lists those that there are.")
  }

  /// The exit code of `body`; one rank says why it failed.
  private static func end(_ cluster: Cluster, _ body: () throws -> Void) -> Int32 {
    do {
      try body()
      return ExitCode.done.rawValue
    } catch {
      let code = Cluster.failure(of: error).code
      if let words = cluster.lastWords(of: error) { StandardError.note(words) }
      // The other ranks know nothing of it and may wait for this one: end them all.
      if !cluster.isShared(error) { cluster.abort(code) }
      return code.rawValue
    }
  }

  /// An older processor than the program is built for gets a sentence instead of an illegal instruction.
  private static func checkProcessor() throws {
    let missing = Processor.current.missing
    guard missing.isEmpty else {
      throw Failure.unavailable(
        "this processor lacks \(missing.joined(separator: ", ")); ala is built for \(Processor.level)")
    }
  }

  /// The compiler's, by its own word: a program cannot ask for more.
  static var swiftVersion: String {
    #if compiler(>=6.4)
      "6.4 or later"
    #elseif compiler(>=6.3)
      "6.3"
    #else
      "6.1 or 6.2"
    #endif
  }

  /// "ala 0.1.0 (commit 1a2b3c4d5e6f)".
  static var versionLine: String {
    let commit = commit.withLock { $0 }
    return "ala \(version)" + (commit.isEmpty ? "" : " (commit \(commit))")
  }

  static var versionText: String {
    """
    \(versionLine)
    Swift \(swiftVersion)
    MPI \(Cluster.libraryVersion())
    BLAS \(blasConfiguration())
    HDF5 \(HDF5File.libraryVersion())
    """
  }
}

/// A command that runs on one rank or many.
protocol ClusterCommand: ParsableCommand {
  /// Whether a signal ends it at once; else it is heard at the next step, image or row.
  var endsOnSignals: Bool { get }
  /// Whether ranks share its work, so that copies which are no ranks of one world would spoil each other's.
  var isSharedByRanks: Bool { get }
  /// Seconds that a rank may be silent while MPI starts, as far as they are known by then; nil: the usual ones.
  var patience: Double? { get }
  /// - Throws: `Failure`, which becomes the exit code.
  func run(on cluster: Cluster) throws
}

extension ClusterCommand {
  var endsOnSignals: Bool { true }
  var isSharedByRanks: Bool { false }
  var patience: Double? { nil }
}

/// The whole command line. `parseAsRoot` reads it without running anything.
package struct Ala: ParsableCommand {
  package static let configuration = CommandConfiguration(
    commandName: "ala",
    abstract: "Trains and judges visual explanations of frozen image encoders (Attention Lattice Adapter).",
    discussion: "Example: mpirun -np 2 ala train --config configs/quickstart.yaml",
    version: Program.versionText,
    subcommands: [
      SynthCommand.self, ImportCommand.self, CacheCommand.self, TrainCommand.self, EvaluateCommand.self,
      ExplainCommand.self, TableCommand.self, ConfigCommand.self, ReportCommand.self, WatchCommand.self,
      InspectCommand.self,
      ExportCommand.self, BenchCommand.self, DoctorCommand.self, ProveCommand.self, ManualCommand.self,
    ])

  package init() {}
}
