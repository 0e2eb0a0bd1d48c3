import Failures
import Foundation
import Machine

/// What the process that looks into files is asked, and what its end says of them.
extension HDF5Probe.Request {
  /// Asks a process of its own.
  ///
  /// - Parameter path: the file that messages name.
  /// - Throws: `Failure` 65 where the file is not sound, 66 or 69 where that cannot be known.
  func ask(of path: String, probe: String) throws -> Data {
    let child = ChildProcess.run(
      probe, arguments, seconds: HDF5Probe.patience, mostOutput: mostAnswer + 1)
    func unsound(_ why: String) -> Failure { .badData("\(path): is no sound HDF5 file: \(why)") }
    func unexamined(_ why: String) -> Failure { .unavailable("\(path): cannot be examined: \(why)") }
    let hasBegun = child.output.first == HDF5Probe.sign
    let answer = child.output.dropFirst()
    var words: String { String(decoding: answer, as: UTF8.self).trimmingCharacters(in: .whitespacesAndNewlines) }
    switch child.ending {
    case .exited(0) where hasBegun: return answer
    case .stopped: throw Failure.interrupted("\(path): is no longer examined, after a signal")
    case .didNotStart: throw unexamined("\(probe) does not start; is there a limit on processes, files or memory?")
    case .ranOutOfTime:
      throw unexamined(
        "\(probe) has no answer after \(Int(HDF5Probe.patience)) s; is the disk or the machine too busy?")
    case .exited, .died, .wroteTooMuch:
      guard hasBegun else { throw unexamined(Self.unbegun(child, probe)) }
    }
    switch child.ending {
    case .exited(ExitCode.badData.rawValue):
      throw unsound("reading it takes more memory than any of ours, which is \(room >> 20) MiB for a file of its size")
    case .exited(ExitCode.missingInput.rawValue) where !words.isEmpty: throw Failure.missingInput(words)
    case .exited(ExitCode.unavailable.rawValue):
      throw words.isEmpty ? unexamined(Self.unfinished(child, probe)) : Failure.unavailable(words)
    case .exited(1): throw words.hasPrefix(path) ? Failure.badData(words) : unsound("what reads it gives no answer")
    case .died(SIGXCPU) where !HDF5Probe.hasLessTime: throw unsound("reading it does not end")
    case .died(let signal) where !HDF5Probe.crashes.contains(signal):
      throw unexamined("\(probe) was ended by signal \(signal) as it looked")
    case .wroteTooMuch: throw unsound("it tells more than any of ours")
    default: throw unsound("what reads it dies of it")
    }
  }

  /// Of a process that has ended before it looked at a file, which a system does that lets it have no thread or no library.
  private static func unbegun(_ child: ChildProcess, _ probe: String) -> String {
    let how = if case .died(let signal) = child.ending { "by signal \(signal) " } else { "" }
    return "\(probe) ends \(how)before it can look\(told(child)); is there a limit on processes, files or memory?"
  }

  /// Of a process that the machine, or a limit of who has started it, has left without memory.
  private static func unfinished(_ child: ChildProcess, _ probe: String) -> String {
    "\(probe) has too little memory to look into it\(told(child))"
  }

  private static func told(_ child: ChildProcess) -> String {
    let first = child.errors.replacing("ala: error: ", with: "").split(separator: "\n").first
    return first.map { " (\($0.prefix(200)))" } ?? ""
  }
}
