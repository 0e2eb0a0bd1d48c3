import Foundation

/// The terminal that standard error may be.
public enum Terminal {
  /// Whether standard error is one, and can go back over its line: `TERM=dumb` says that it cannot.
  public static let isThere = isatty(STDERR_FILENO) == 1 && ProcessInfo.processInfo.environment["TERM"] != "dumb"

  /// Whether warnings may be coloured there; `NO_COLOR` says not (no-color.org).
  public static let hasColours = isThere && (ProcessInfo.processInfo.environment["NO_COLOR"] ?? "").isEmpty

  /// How many characters a line has, as it is now; nil where that is not known.
  public static var width: Int? { size.flatMap { $0.ws_col > 0 ? Int($0.ws_col) : nil } }

  /// How many lines it shows, as it is now; nil where that is not known.
  public static var height: Int? { size.flatMap { $0.ws_row > 0 ? Int($0.ws_row) : nil } }

  private static var size: winsize? {
    var size = winsize()
    return ioctl(STDERR_FILENO, UInt(TIOCGWINSZ), &size) == 0 ? size : nil
  }

  /// A line cut so that it stays on one line of the terminal, which could not be gone back over else.
  public static func fitted(_ line: String) -> String {
    guard let width, line.count >= width else { return line }
    return String(line.prefix(max(width - 1, 0)))
  }

  /// A line as so many as the terminal needs for it, each of which stays on one.
  public static func folded(_ line: String) -> [String] { width.map { folded(line, width: $0) } ?? [line] }

  /// - Parameter width: of the terminal; lines end at spaces where there are some.
  package static func folded(_ line: String, width: Int) -> [String] {
    let most = max(width - 1, 1)
    var lines: [String] = []
    var rest = line[...]
    while rest.count > most {
      let end = rest.index(rest.startIndex, offsetBy: most)
      if let space = rest[...end].lastIndex(of: " "), space > rest.startIndex {
        lines.append(String(rest[..<space]))
        rest = rest[rest.index(after: space)...]
      } else {
        lines.append(String(rest[..<end]))
        rest = rest[end...]
      }
    }
    return lines + [String(rest)]
  }
}
