import Foundation
import Synchronization

/// This program, started again for something that may not end, or may take the process with it.
public enum ChildProcess {
  /// This program's own file, for children that do a part of its work.
  public static let ownProgram =
    (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")) ?? "ala"

  public enum Outcome: Sendable {
    /// By itself: its exit code and what it wrote to standard output.
    case ended(code: Int32, output: Data)
    /// By a signal.
    case died
    case didNotStart
    /// Killed after its time.
    case ranOutOfTime
  }

  /// Runs a program to its end.
  ///
  /// - Parameters:
  ///   - environment: of which the child gets all but what would make it a rank of this run.
  ///   - seconds: after which it is killed.
  ///   - errors: what takes its standard error.
  ///   - look: called again and again while it runs, with its process id.
  public static func run(
    _ program: String, _ arguments: [String],
    environment: [String: String] = ProcessInfo.processInfo.environment, seconds: Double,
    errors: FileHandle = .nullDevice, look: (Int32) -> Void = { _ in }
  ) -> Outcome {
    let process = Process()
    process.executableURL = URL(fileURLWithPath: program)
    process.arguments = arguments
    process.environment = environment.filter { name, _ in
      !["OMPI_", "PMIX_", "PMI_", "SLURM_STEP_NUM_TASKS"].contains { name.hasPrefix($0) }
    }
    let pipe = Pipe()
    process.standardOutput = pipe
    process.standardError = errors
    guard (try? HeldSignals.released(while: process.run)) != nil else { return .didNotStart }
    // A pipe holds little: it is read while the child writes.
    let received = Mutex(Data())
    let isRead = DispatchSemaphore(value: 0)
    let reader = Thread {
      let data = (try? pipe.fileHandleForReading.readToEnd()) ?? nil
      received.withLock { $0 = data ?? Data() }
      isRead.signal()
    }
    reader.start()
    let limit = Date().addingTimeInterval(seconds)
    while process.isRunning {
      if Date() > limit {
        kill(process.processIdentifier, SIGKILL)
        return .ranOutOfTime
      }
      look(process.processIdentifier)
      usleep(2_000)
    }
    guard process.terminationReason == .exit else { return .died }
    isRead.wait()
    return .ended(code: process.terminationStatus, output: received.withLock { $0 })
  }
}
