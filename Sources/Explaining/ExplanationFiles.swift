import Failures
import Files
import Foundation
import Storage

/// Which images `ala explain` is asked for, and what it writes beside the pictures.

/// Of a list of paths.
private let mostListBytes = 1 << 28

/// Files as they are; the JPEG and PNG files in folders, subfolders included, by path; the lines of `.txt` lists.
///
/// - Throws: `Failure` 66 for what does not exist, and where nothing is found; 65 for a name that is no UTF-8.
public func listImages(_ arguments: [String]) throws -> [String] {
  var result: [String] = []
  for argument in arguments {
    var isFolder: ObjCBool = false
    guard FileManager.default.fileExists(atPath: argument, isDirectory: &isFolder) else {
      throw Failure.missingInput("\(argument): there is no such file or folder")
    }
    if isFolder.boolValue {
      let images = try files(below: argument, from: "").sorted().filter {
        ["jpg", "jpeg", "png"].contains(($0 as NSString).pathExtension.lowercased())
      }
      guard !images.isEmpty else { throw Failure.missingInput("\(argument): holds no JPEG or PNG file") }
      result += images.map { "\(argument)/\($0)" }
    } else if argument.hasSuffix(".txt") {
      guard let text = String(validating: try readFile(argument, most: mostListBytes), as: UTF8.self) else {
        throw Failure.badData("\(argument): is not a list of paths in UTF-8")
      }
      let lines = text.split(whereSeparator: \.isNewline).map { $0.trimmingCharacters(in: .whitespaces) }.filter {
        !$0.isEmpty
      }
      guard !lines.isEmpty else { throw Failure.badData("\(argument): names no image") }
      result += lines
    } else {
      result.append(argument)
    }
  }
  return result
}

/// Paths below a folder, from there. Links to folders are not followed.
private func files(below root: String, from folder: String) throws -> [String] {
  let (names, notUTF8) = try readFolder("\(root)/\(folder)")
  if let name = notUTF8.min() {
    throw Failure.badData("\(root)/\(folder)\(name): its name is not UTF-8; rename it, or leave it out")
  }
  return try names.flatMap { name -> [String] in
    var status = stat()
    let isFolder = lstat("\(root)/\(folder)\(name)", &status) == 0 && status.st_mode & S_IFMT == S_IFDIR
    return try isFolder ? files(below: root, from: "\(folder)\(name)/") : ["\(folder)\(name)"]
  }
}

/// The files that `writeExplanations` makes.
let explanationFiles = ["predictions.csv", "explanations.h5"]

/// Writes `explanations.h5` (`map` [n, s, s] as produced, `probability` [n, C]; attributes `method`, `images` and
/// `classes`) and `predictions.csv`.
func writeExplanations(
  _ done: [(explanation: Explanation, name: String)], method: any ExplanationMethod, classNames: [String],
  to folder: String
) throws {
  var csv = "image,file,predicted,probability\n"
  for (explanation, name) in done {
    guard let best = explanation.likeliest(1).first else { continue }
    let cells = [explanation.path, name, classNames[best], "\(explanation.probabilities[best])"]
    csv += cells.map(csvCell).joined(separator: ",") + "\n"
  }
  try writeAtomically(csv, to: "\(folder)/predictions.csv")
  guard let side = done.first?.explanation.side else { return }
  func json(_ texts: [String]) throws -> HDF5Attribute {
    .text(String(decoding: try JSONEncoder().encode(texts), as: UTF8.self))
  }
  try ExplanationsFile(
    imageIDs: [], side: side, maps: done.map(\.explanation.map), probabilities: done.map(\.explanation.probabilities)
  ).write(
    to: "\(folder)/explanations.h5",
    attributes: [
      ("method", .text(method.facts.name)), ("images", try json(done.map(\.explanation.path))),
      ("classes", try json(classNames)),
    ])
}

/// A CSV cell, quoted where it must be (RFC 4180).
private func csvCell(_ text: String) -> String {
  guard text.contains(where: { ",\"\n\r".contains($0) }) else { return text }
  return "\"" + text.replacingOccurrences(of: "\"", with: "\"\"") + "\""
}
