import Failures
import Foundation
import Synchronization

/// What the program says, without the traps of Foundation's and the buffers of C's streams.

/// Standard error takes notes. One that cannot be written (a full disk, a closed terminal, a pipe that nobody empties) is
/// lost, never the work.
public enum StandardError {
  /// That whoever reads has for the next note; none once a note was lost, until one is taken again.
  private static let patienceMilliseconds: Int32 = 2_000
  private static let isRead = Atomic(true)
  /// What a pipe that can be written to takes without waiting.
  private static let piece = Int(PIPE_BUF)

  /// A line, made printable.
  public static func note(_ text: String) { write("\(printable(text))\n") }

  /// A text as it stands, with what a terminal shall obey.
  public static func write(_ text: String) {
    Array(text.utf8).withUnsafeBytes { bytes in
      for start in stride(from: 0, to: bytes.count, by: piece) {
        var stream = pollfd(fd: STDERR_FILENO, events: Int16(POLLOUT), revents: 0)
        let isTaken = poll(&stream, 1, isRead.load(ordering: .relaxed) ? patienceMilliseconds : 0) == 1
        isRead.store(isTaken, ordering: .relaxed)
        guard isTaken else { return }
        let part = UnsafeRawBufferPointer(rebasing: bytes[start..<min(start + piece, bytes.count)])
        guard (try? writeFully(part, to: STDERR_FILENO, path: "standard error")) != nil else { return }
      }
    }
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
