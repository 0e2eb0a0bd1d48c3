import Failures
import Files
import Foundation
import TestSupport
import Testing

/// Files that are read once, as they come.

@Test func aPipeIsReadAsItComesAndNotWaitedForWithoutEnd() throws {
  let folder = try TemporaryFolder()
  let pipe = "\(folder.path)/pipe"
  try #require(mkfifo(pipe, 0o644) == 0)
  #expect(throws: Failure.badData("\(pipe): gave nothing for 0 s")) { try readStream(pipe, most: 10, seconds: 0.1) }
  func read(_ script: String, most: Int) throws -> [UInt8] {
    let writer = Process()
    writer.executableURL = URL(fileURLWithPath: "/bin/sh")
    writer.arguments = ["-c", "exec >'\(pipe)'; \(script)"]
    try writer.run()
    defer { writer.waitUntilExit() }
    return try readStream(pipe, most: most)
  }
  #expect(try read("printf a; sleep 0.2; printf b", most: 2) == Array("ab".utf8))
  #expect(throws: Failure.badData("\(pipe): has more than 2 bytes")) { try read("printf abc", most: 2) }
  try "file".write(toFile: "\(folder.path)/file", atomically: true, encoding: .utf8)
  #expect(try readStream("\(folder.path)/file", most: 4) == Array("file".utf8))
  #expect(try readStream("/dev/null", most: 4).isEmpty)
  #expect(isPipe(pipe) && !isPipe("\(folder.path)/file") && !isPipe("\(folder.path)/none"))
}
