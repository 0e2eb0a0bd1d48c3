import ArgumentParser
import Cluster
import Failures
import Foundation
import Machine
import Storage
import Tensor

/// The program from its arguments to its exit code: one rank speaks, all end alike.
enum Program {
  static let version = "0.1.0"

  /// This program's file, for the child that examines foreign HDF5 files.
  static let path = (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")) ?? "ala"

  static func run(_ arguments: [String]) -> Int32 {
    let cluster: Cluster
    do {
      try checkProcessor()
      cluster = try Cluster()
    } catch {
      say("ala: error: \(error)")
      return Cluster.failure(of: error).code.rawValue
    }
    let code = run(arguments, on: cluster)
    cluster.finish()
    return code
  }

  private static func run(_ arguments: [String], on cluster: Cluster) -> Int32 {
    var command: ParsableCommand
    do {
      command = try Ala.parseAsRoot(arguments.map(expandingHome(inArgument:)))
      // Help is a command of the parser's own, which ends by throwing its text.
      if !(command is ClusterCommand) { try command.run() }
    } catch {
      return finish(parsing: error, cluster)
    }
    guard let command = command as? ClusterCommand else { return finish(parsing: CleanExit.helpRequest(), cluster) }
    do {
      try command.run(on: cluster)
      return ExitCode.done.rawValue
    } catch {
      let code = Cluster.failure(of: error).code
      if let words = cluster.lastWords(of: error) { say(words) }
      // The other ranks know nothing of it and may wait for this one: end them all.
      if !cluster.isShared(error) { cluster.abort(code) }
      return code.rawValue
    }
  }

  /// ArgumentParser's messages: help and version on standard output, misuse on standard error with code 64.
  private static func finish(parsing error: Error, _ cluster: Cluster) -> Int32 {
    let code = Ala.exitCode(for: error)
    if cluster.isRoot {
      let text = Ala.fullMessage(for: error)
      if code.isSuccess { print(text) } else { say(text) }
    }
    return code.isSuccess ? ExitCode.done.rawValue : ExitCode.usage.rawValue
  }

  private static func say(_ text: String) {
    FileHandle.standardError.write(Data("\(text)\n".utf8))
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

  static var versionText: String {
    """
    ala \(version)
    Swift \(swiftVersion)
    MPI \(Cluster.libraryVersion())
    BLAS \(blasConfiguration())
    HDF5 \(HDF5File.libraryVersion())
    """
  }
}

/// A command that runs on one rank or many.
protocol ClusterCommand: ParsableCommand {
  /// - Throws: `Failure`, which becomes the exit code.
  func run(on cluster: Cluster) throws
}

struct Ala: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "ala",
    abstract: "Trains and judges visual explanations of frozen image encoders (Attention Lattice Adapter).",
    discussion: "Example: mpirun -np 2 ala train --config configs/quickstart.yaml",
    version: Program.versionText,
    subcommands: [
      SynthCommand.self, CacheCommand.self, TrainCommand.self, EvaluateCommand.self, ExplainCommand.self,
      ReportCommand.self, InspectCommand.self, ExportCommand.self, BenchCommand.self, DoctorCommand.self,
    ])
}
