import Failures
import Foundation

/// Paths as bytes. Swift's own comparison calls two names equal that differ in how Unicode writes an accent; they may
/// lie side by side in a folder.

/// The order of a set's images and classes: that of the UTF-8 bytes, the same on every machine.
func precedes(_ one: String, _ other: String) -> Bool { one.utf8.lexicographicallyPrecedes(other.utf8) }

/// Whether two names are the same bytes.
func isSame(_ one: String, _ other: String) -> Bool { one.utf8.elementsEqual(other.utf8) }

/// Whether a path can stand in a line of `images.txt`.
func isWritable(inALine path: String) -> Bool {
  !path.contains(where: \.isNewline) && path.first?.isWhitespace == false && path.last?.isWhitespace == false
    && !path.unicodeScalars.contains("\0")
}

/// A name on one line, whatever it holds: a file's name may be a command to a terminal.
public func onOneLine(_ name: String) -> String {
  name.unicodeScalars.map { scalar in
    scalar.properties.generalCategory == .control || scalar.properties.generalCategory == .lineSeparator
      || scalar.properties.generalCategory == .paragraphSeparator
      ? scalar.escaped(asASCII: true) : String(scalar)
  }.joined()
}

/// What stands behind the last dot of the last part; empty without one.
func ending(of path: String) -> String {
  let name = path.split(separator: "/").last ?? ""
  guard let dot = name.lastIndex(of: "."), dot != name.startIndex else { return "" }
  return String(name[name.index(after: dot)...])
}

/// The path without its ending.
func stem(of path: String) -> String {
  let ending = ending(of: path)
  return ending.isEmpty ? path : String(path.dropLast(ending.count + 1))
}

func folder(of path: String) -> String {
  path.lastIndex(of: "/").map { String(path[..<$0]) } ?? ""
}

func lastPart(of path: String) -> String {
  path.lastIndex(of: "/").map { String(path[path.index(after: $0)...]) } ?? path
}

/// A folder's path without a slash at its end.
///
/// - Parameter above: empty, or with a slash at its end.
func joined(_ above: String, _ folder: String) -> String { folder.isEmpty ? String(above.dropLast()) : above + folder }

/// A path without `.` and `..`; nil where it leaves what it is relative to.
func simplified(_ path: String) -> String? {
  var parts: [Substring] = []
  for part in path.split(separator: "/") where part != "." {
    if part != ".." {
      parts.append(part)
    } else if parts.popLast() == nil {
      return nil
    }
  }
  return parts.joined(separator: "/")
}

/// A path behind every link; nil where nothing is there.
public func realPath(_ path: String) -> String? {
  guard let resolved = realpath(path, nil) else { return nil }
  defer { free(resolved) }
  return String(cString: resolved)
}

extension Failure {
  /// Its words without the file that they begin with, for who names the file in another way.
  public func words(behind file: String) -> String {
    let start = "\(file): "
    return message.hasPrefix(start) ? String(message.dropFirst(start.count)) : message
  }
}
