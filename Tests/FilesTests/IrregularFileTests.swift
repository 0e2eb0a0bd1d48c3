import Digests
import Failures
import Files
import Foundation
import TestSupport
import Testing

/// Puts something else in a file's place.
///
/// - Returns: paths, and what messages call what is there.
private func irregularFiles(in folder: String) throws -> [(path: String, kind: String)] {
  let paths = ["folder", "fifo", "link-to-fifo", "socket", "link-to-device"].map { "\(folder)/\($0)" }
  try #require(mkdir(paths[0], 0o755) == 0)
  try #require(mkfifo(paths[1], 0o644) == 0)
  try #require(symlink(paths[1], paths[2]) == 0)
  try #require(mknod(paths[3], S_IFSOCK | 0o644, 0) == 0)
  try #require(symlink("/dev/zero", paths[4]) == 0)
  return Array(zip(paths, ["a folder", "a FIFO", "a FIFO", "a socket", "a device"]))
}

@Test func whatIsNoRegularFileIsNamedAndNeverWaitedForNorRead() throws {
  let folder = try TemporaryFolder()
  let readers: [(String) throws -> Void] = [
    { close(try openRegularFile($0).descriptor) }, { _ = try readFile($0, most: 10) },
    { _ = try readText($0, most: 10) }, { _ = try readBeginning(of: $0, count: 10) },
    { _ = try readEnd(of: $0, count: 10) }, { _ = try SHA256.ofFile($0) }, { _ = try MappedMemory(file: $0) },
  ]
  for (path, kind) in try irregularFiles(in: folder.path) {
    for read in readers {
      #expect(throws: Failure.badData("\(path): is \(kind); expected a regular file")) { try read(path) }
    }
  }
}

@Test func nothingIsWrittenIntoOrOverWhatIsNoRegularFile() throws {
  let folder = try TemporaryFolder()
  let writers: [(String) throws -> Void] = [
    { try AppendedFile($0).append("new") }, { try AppendedFile($0, isNew: true).append("new") },
    { try writeAtomically("new", to: $0) },
    { try makeAtomically($0) { _ in Issue.record("is made before it is refused") } },
  ]
  for (path, kind) in try irregularFiles(in: folder.path) {
    let fault = "\(path): is \(kind); expected a regular file"
    for write in writers { #expect(throws: Failure.cannotWrite(fault)) { try write(path) } }
    #expect(throws: Failure.cannotWrite("\(fault); give another --out")) {
      try guardOutput(path, inputs: [], isOverwriting: true) { _ in true }
    }
    #expect(irregularity(of: path) == "is \(kind); expected a regular file")
  }
}

@Test func aFileIsReadWholeFromItsBeginningFromItsEndAndInPieces() throws {
  let folder = try TemporaryFolder()
  let path = "\(folder.path)/file"
  try writeAtomically("0123456789", to: path)
  #expect(try readText(path, most: 10) == "0123456789")
  #expect(throws: Failure.badData("\(path): has 10 bytes; expected at most 9")) { try readText(path, most: 9) }
  for count in [0, 3, 10, 11] {
    #expect(try readBeginning(of: path, count: count) == Array("0123456789".utf8.prefix(count)))
    #expect(try readEnd(of: path, count: count) == Array("0123456789".utf8.suffix(count)))
  }
  let rest = SHA256()
  try rest.update(file: path, from: 4)
  #expect(rest.finish() == SHA256.of("456789"))
  #expect(try SHA256.ofFile(path) == SHA256.of("0123456789"))
  try writeAtomically([0xFF], to: path)
  #expect(throws: Failure.badData("\(path): is not UTF-8 text")) { try readText(path, most: 9) }
  #expect(throws: Failure.missingInput("\(path)-none: is missing")) { try readText("\(path)-none", most: 9) }
}
