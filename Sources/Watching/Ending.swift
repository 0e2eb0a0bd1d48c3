/// How a run or a table has ended that gave its folder back.
enum Ending: Equatable {
  case finished
  /// By a signal, or after as many steps as it was to make.
  case stopped
  /// With an error, which is its log's last word.
  case failed

  /// How the lines begin that a log has of it; what ends the program stands there as on the terminal.
  static let beginnings = ["stopped: ", "finished: ", "the run is finished: ", "ala: "]

  /// - Parameter line: of the log; nil where it tells of no end.
  init?(_ line: String) {
    guard Self.beginnings.contains(where: { line.hasPrefix($0) }) else { return nil }
    if line.hasPrefix("ala: ") {
      self = line.hasPrefix("ala: error: ") ? .failed : .stopped
    } else {
      self = line.hasPrefix("stopped: ") ? .stopped : .finished
    }
  }

  var words: String {
    switch self {
    case .finished: "finished"
    case .stopped: "stopped"
    case .failed: "ended by an error"
    }
  }
}
