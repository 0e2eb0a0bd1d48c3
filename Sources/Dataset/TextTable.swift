import Failures
import Files
import Foundation

/// CUB-200-2011's text files: one entry a line, "<id> <rest>". Files are untrusted input.
struct TextTable {
  struct Line {
    let number: Int
    let id: Int
    /// What follows the id, without surrounding blanks.
    let rest: String
  }

  let path: String
  let lines: [Line]

  private static let mostBytes = 1 << 28

  /// - Throws: `Failure` 66 where there is no file; 65 where a line does not begin with an id of its own.
  init(path: String) throws {
    self.path = path
    guard let text = String(validating: try readFile(path, most: Self.mostBytes), as: UTF8.self) else {
      throw Failure.badData("\(path): is not UTF-8 text")
    }
    var lines: [Line] = []
    var seen: Set<Int> = []
    for (index, raw) in text.split(omittingEmptySubsequences: false, whereSeparator: \.isNewline).enumerated() {
      let line = raw.trimmingCharacters(in: .whitespaces)
      if line.isEmpty { continue }
      let parts = line.split(maxSplits: 1, whereSeparator: { $0 == " " || $0 == "\t" })
      guard parts.count == 2, let id = Int(parts[0]), id >= 0, id <= Int(Int32.max) else {
        throw Failure.badData("\(path): line \(index + 1) is \"\(line.prefix(80))\"; expected an id and a value")
      }
      guard seen.insert(id).inserted else {
        throw Failure.badData("\(path): line \(index + 1) gives id \(id) a second time")
      }
      lines.append(Line(number: index + 1, id: id, rest: parts[1].trimmingCharacters(in: .whitespaces)))
    }
    self.lines = lines
  }

  /// What each line says, by its id.
  func values<Value>(_ read: (Line) throws -> Value) throws -> [Int: Value] {
    var result: [Int: Value] = [:]
    for line in lines { result[line.id] = try read(line) }
    return result
  }

  func wrong(_ line: Line, _ expected: String) -> Failure {
    Failure.badData(
      "\(path): line \(line.number) has \"\(line.rest.prefix(80))\" for id \(line.id); expected \(expected)")
  }
}
