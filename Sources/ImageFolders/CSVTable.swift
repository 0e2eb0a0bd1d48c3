import Failures
import Files
import Foundation

/// A table of texts, as spreadsheets and scripts write them (RFC 4180): fields between commas, semicolons or tabs, in
/// quotes where they hold one of these, a quote or a line break; in a `.txt` without any of them between blanks. Files are
/// untrusted input.
struct CSVTable {
  struct Row {
    /// Of its first character, from 1.
    let line: Int
    let fields: [String]
  }

  let path: String
  let rows: [Row]
  /// What is wrong with rows that were left out; nil where none was.
  let fault: Failure?

  private static let mostBytes = 1 << 28

  /// - Parameter leavesOut: takes the rows that have as many fields as the first, so that these are looked at, too.
  /// - Throws: `Failure` 66 where there is no file; 65 where it is no text, a quote has no end, or a row has another
  ///   number of fields than the first, unless such are left out and others are not.
  init(path: String, leavingOutUneven leavesOut: Bool = false) throws {
    self.path = path
    let data = try readFile(path, most: Self.mostBytes)
    guard let text = String(validating: data, as: UTF8.self) else {
      let lines = data.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false)
      let line = (lines.firstIndex { String(validating: $0, as: UTF8.self) == nil } ?? 0) + 1
      throw Failure.badData("\(path): line \(line) is not UTF-8 text; save it as CSV UTF-8")
    }
    // Bytes, for a line break of two characters is one in Swift's eyes.
    var bytes = Array(text.utf8)
    if bytes.starts(with: [0xEF, 0xBB, 0xBF]) { bytes.removeFirst(3) }
    let all = try Self.rows(bytes, path: path)
    guard let first = all.first else { throw Failure.badData("\(path): is empty") }
    rows = all.filter { $0.fields.count == first.fields.count }
    fault = rows.count == all.count ? nil : Self.unevenness(all, path: path)
    if let fault, !leavesOut || rows.count == 1 { throw fault }
  }

  private static func unevenness(_ rows: [Row], path: String) -> Failure {
    let (expected, line, named) = (rows[0].fields.count, rows[0].line, 5)
    let uneven = rows.filter { $0.fields.count != expected }
    let words = uneven.prefix(named).map { row in
      "line \(row.line) has \(row.fields.count) field\(row.fields.count == 1 ? "" : "s")"
    }
    let more = uneven.count > named ? " and \(uneven.count - named) more such lines" : ""
    return .badData("\(path): \(words.joined(separator: ", "))\(more); expected \(expected), as in line \(line)")
  }

  /// The fields of the first two lines that are not empty, of a file that may be broken; quotes are left out.
  static func opening(of path: String) -> [[String]] {
    let bytes = (try? readBeginning(of: path, count: openingBytes)) ?? []
    let separator = separator(bytes, mayBeBlank: false)
    // Of UTF-16, which some spreadsheets write, every other byte is 0.
    return bytes.filter { $0 != 0 }.split { $0 == UInt8(ascii: "\n") || $0 == UInt8(ascii: "\r") }.prefix(2).map {
      line in
      line.split(separator: separator, omittingEmptySubsequences: false).map { field in
        String(decoding: field, as: UTF8.self).trimmingCharacters(in: unquoted)
      }
    }
  }

  private static let openingBytes = 1 << 16
  private static let unquoted = CharacterSet(charactersIn: " \"\u{FEFF}\u{FFFD}")

  /// The column whose heading is one of some names, whatever the case; names come first that come first.
  func column(_ names: [String]) -> Int? {
    Self.column(names, of: rows.first?.fields ?? [])
  }

  static func column(_ names: [String], of fields: [String]) -> Int? {
    let headings = fields.map { heading($0) }
    return names.lazy.compactMap { headings.firstIndex(of: $0) }.first
  }

  /// Headings of other columns than those that are used; one of numbered rows has none.
  func headings(without used: [Int]) -> [String] {
    let fields = rows.first?.fields ?? []
    return fields.indices.filter { !used.contains($0) && !fields[$0].isEmpty }.map { fields[$0] }
  }

  static func heading(_ field: String) -> String {
    field.trimmingCharacters(in: .whitespaces).lowercased().replacing(" ", with: "_").replacing("-", with: "_")
  }

  private static func rows(_ bytes: [UInt8], path: String) throws -> [Row] {
    let (quote, carriage, newline) = (UInt8(ascii: "\""), UInt8(ascii: "\r"), UInt8(ascii: "\n"))
    let separator = separator(bytes, mayBeBlank: ending(of: path).lowercased() == "txt")
    let isBlank = separator == UInt8(ascii: " ")
    var rows: [Row] = []
    var fields: [String] = []
    var field: [UInt8] = []
    var (line, start, isQuoted, wasQuoted) = (1, 1, false, false)
    func text() -> String {
      let text = String(decoding: field, as: UTF8.self)
      return wasQuoted ? text : text.trimmingCharacters(in: .whitespaces)
    }
    func endRow() {
      if !isBlank || fields.isEmpty || wasQuoted || !field.isEmpty { fields.append(text()) }
      if fields.contains(where: { !$0.isEmpty }) { rows.append(Row(line: start, fields: fields)) }
      (fields, field, wasQuoted) = ([], [], false)
    }
    var place = 0
    while place < bytes.count {
      let byte = bytes[place]
      place += 1
      if byte == newline || (byte == carriage && (place == bytes.count || bytes[place] != newline)) { line += 1 }
      if isQuoted {
        if byte != quote {
          field.append(byte)
        } else if place < bytes.count, bytes[place] == quote {
          field.append(quote)
          place += 1
        } else {
          isQuoted = false
        }
      } else if byte == quote, field.allSatisfy({ $0 == UInt8(ascii: " ") }) {
        (isQuoted, wasQuoted, field) = (true, true, [])
      } else if byte == separator {
        if isBlank && field.isEmpty && !wasQuoted { continue }
        fields.append(text())
        (field, wasQuoted) = ([], false)
      } else if byte == newline || byte == carriage {
        endRow()
        if byte == carriage, place < bytes.count, bytes[place] == newline {
          place += 1
          line += 1
        }
        start = line
      } else {
        field.append(byte)
      }
    }
    guard !isQuoted else { throw Failure.badData("\(path): line \(start): a quote has no end") }
    endRow()
    return rows
  }

  /// Of comma, semicolon and tab, the one that stands most often in the first line, outside quotes.
  ///
  /// - Parameter mayBeBlank: whether it is the blank where none of them stands there.
  private static func separator(_ bytes: [UInt8], mayBeBlank: Bool) -> UInt8 {
    var counts: [UInt8: Int] = [:]
    var isQuoted = false
    for byte in bytes {
      if byte == UInt8(ascii: "\"") { isQuoted.toggle() }
      if !isQuoted && (byte == UInt8(ascii: "\n") || byte == UInt8(ascii: "\r")) { break }
      if !isQuoted { counts[byte, default: 0] += 1 }
    }
    let known = [UInt8(ascii: ","), UInt8(ascii: ";"), UInt8(ascii: "\t")]
    if mayBeBlank, known.allSatisfy({ counts[$0] == nil }) { return UInt8(ascii: " ") }
    return known.max { (counts[$0] ?? 0, $1) < (counts[$1] ?? 0, $0) } ?? known[0]
  }
}
