import Failures
import Files
import Foundation
import TestSupport
import Testing

/// A file without a name is found by its place as long as it is there, and leaves nothing behind.
@Test func aFileWithoutANameIsFoundByItsPlaceAndNoOtherIsTakenForIt() throws {
  let folder = try TemporaryFolder()
  let file = try AnonymousFile(in: folder.path)
  try Array("0123".utf8).withUnsafeBytes { try file.append($0) }
  try Array("45".utf8).withUnsafeBytes { try file.append($0) }
  #expect(try FileManager.default.contentsOfDirectory(atPath: folder.path).isEmpty)
  #expect(try readText(file.path, most: 10) == "012345")
  let found = try #require(AnonymousFile(place: file.place))
  #expect(try readText(found.path, most: 10) == "012345" && found.path != file.path)
  let words = file.place.split(separator: " ").map(String.init)
  for (index, other) in [(0, "4194303"), (0, "x"), (1, "0"), (2, "0"), (3, "0")] {
    var place = words
    place[index] = other
    #expect(AnonymousFile(place: place.joined(separator: " ")) == nil, "\(place)")
  }
  for place in ["", "1 2", "self/fd/\(words[1]) 1 2"] { #expect(AnonymousFile(place: place) == nil, "\(place)") }
  #expect(throws: Failure.self) { try AnonymousFile(in: "\(folder.path)/none") }
}
