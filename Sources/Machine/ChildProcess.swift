import Foundation

/// A program that was started for something that may not end, or may take its process with it; and what came of it.
public struct ChildProcess: Sendable {
  /// This program's own file, for children that do a part of its work.
  public static let ownProgram =
    (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")) ?? "ala"

  public enum Ending: Equatable, Sendable {
    /// By itself, with its code.
    case exited(Int32)
    /// By a signal.
    case died(Int32)
    case didNotStart
    /// Ended after its time.
    case ranOutOfTime
    /// Ended because it wrote more to standard output than it may.
    case wroteTooMuch
    /// Ended because it was no longer wanted.
    case stopped
  }

  public let ending: Ending
  /// What it wrote to standard output.
  public let output: Data
  /// The end of what it wrote to standard error: 64 KiB at most.
  public let errors: String

  /// Runs a program to its end, in a process group of its own, without standard input.
  ///
  /// However the call ends, nothing of the group is left: what is there is asked to end (TERM) and ended some seconds
  /// later (KILL). So it is where a signal comes that ends this process; it does so afterwards.
  ///
  /// - Parameters:
  ///   - environment: of which the child gets all but what would make it a rank of this run.
  ///   - seconds: after which it is ended.
  ///   - mostOutput: bytes on standard output, beyond which it is ended.
  ///   - isWanted: asked again and again while it runs, with its process id.
  public static func run(
    _ program: String, _ arguments: [String],
    environment: [String: String] = ProcessInfo.processInfo.environment, seconds: Double,
    mostOutput: Int = 1 << 20, isWanted: (Int32) -> Bool = { _ in true }
  ) -> ChildProcess {
    let environment = environment.filter { name, _ in
      !["OMPI_", "PMIX_", "PMI_", "SLURM_STEP_NUM_TASKS"].contains { name.hasPrefix($0) }
    }
    return HeldSignals.held {
      guard var group = ProcessGroup(program, arguments, environment: environment, mostOutput: mostOutput) else {
        return ChildProcess(ending: .didNotStart, output: Data(), errors: "")
      }
      defer { group.close() }
      let start = ContinuousClock.now
      var ending: Ending?
      while ending == nil {
        group.read()
        ending = group.ending
        if group.wroteTooMuch {
          ending = .wroteTooMuch
        } else if ending == nil {
          if HeldSignals.isWaiting || !isWanted(group.leader) {
            ending = .stopped
          } else if ContinuousClock.now - start > .seconds(seconds) {
            ending = .ranOutOfTime
          }
        }
      }
      group.end()
      if group.wroteTooMuch { ending = .wroteTooMuch }
      return ChildProcess(ending: ending ?? .stopped, output: group.output, errors: group.errors)
    }
  }
}
