import Failures
import Foundation
import Synchronization

/// What the program says, without the traps of Foundation's and the buffers of C's streams.

/// A text without what a terminal would obey: of control characters line feeds and tabs alone stay, others stand as in
/// JSON (`\u001b`). Names, attributes and lines of files are anybody's words.
public func printable(_ text: String) -> String {
  guard text.unicodeScalars.contains(where: isObeyed) else { return text }
  var shown = ""
  for scalar in text.unicodeScalars {
    if isObeyed(scalar) {
      shown += String(format: "\\u%04x", scalar.value)
    } else {
      shown.unicodeScalars.append(scalar)
    }
  }
  return shown
}

private func isObeyed(_ scalar: Unicode.Scalar) -> Bool {
  switch scalar {
  case "\n", "\t": false
  default: scalar.value < 0x20 || (0x7F..<0xA0).contains(scalar.value)
  }
}

/// Standard error takes notes. One that cannot be written (a full disk, a closed terminal) is lost, never the work.
public enum StandardError {
  /// A line, made printable.
  public static func note(_ text: String) { write("\(printable(text))\n") }

  /// A text as it stands, with what a terminal shall obey.
  public static func write(_ text: String) {
    Array(text.utf8).withUnsafeBytes { try? writeFully($0, to: STDERR_FILENO, path: "standard error") }
  }
}

/// Standard output takes what a command has been asked for.
public enum StandardOutput {
  /// A text, made printable; JSON stays the same JSON.
  ///
  /// - Throws: `Failure` 73 where it cannot be written whole.
  public static func print(_ text: String, terminator: String = "\n") throws {
    try Array((printable(text) + terminator).utf8).withUnsafeBytes {
      try writeFully($0, to: STDOUT_FILENO, path: "standard output")
    }
  }

  /// A value as one JSON object on one line, its keys in order.
  ///
  /// - Throws: `Failure` 73 where it cannot be written whole.
  public static func printJSON(_ value: some Encodable) throws {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    try print(String(decoding: try encoder.encode(value), as: UTF8.self))
  }

  /// A line beside the files that are a command's result: where it cannot be written, only that is said, once.
  public static func note(_ text: String) {
    do {
      try print(text)
    } catch {
      guard isWhole.exchange(false, ordering: .relaxed) else { return }
      StandardError.note("ala: warning: \(error)")
    }
  }

  /// Whether every note so far could be written.
  private static let isWhole = Atomic(true)
}

/// Lets a write beyond a file-size limit, into a pipe that nobody reads or to a stream that was closed before the
/// program began fail like any other write, instead of ending the process or going into a file that has taken the
/// stream's number. The first thing that a program does.
public func letWritesFail() {
  for stream in [STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO] where fcntl(stream, F_GETFD) < 0 {
    // The lowest free number is the stream's own; read only, so that writes to it fail.
    _ = open("/dev/null", O_RDONLY)
  }
  signal(SIGXFSZ, SIG_IGN)
  signal(SIGPIPE, SIG_IGN)
}
