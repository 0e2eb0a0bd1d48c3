import Failures
import Files
import Foundation

/// Arguments, variables and paths are bytes to the system. In place of those that are no UTF-8 Swift's texts have another
/// character, and so another name, under which something else would be read or written.
enum GivenBytes {
  /// What to say of the first argument that is no UTF-8; nil where all are.
  static func problemOfArguments() -> String? {
    for index in 1..<max(1, Int(CommandLine.argc)) {
      guard let argument = CommandLine.unsafeArgv[index], String(validatingCString: argument) == nil else { continue }
      let bytes = UnsafeRawBufferPointer(start: argument, count: strlen(argument))
      return "argument \(index), \(escapingBytes(bytes)), is not UTF-8; \(remedy)"
    }
    return nil
  }

  /// - Throws: `Failure` 78 for a variable of settings, 69 for another one that makes paths, and for the working folder.
  static func check() throws {
    let variables = FileManager.default.contents(atPath: "/proc/self/environ") ?? Data()
    for variable in variables.split(separator: 0) where String(validating: variable, as: UTF8.self) == nil {
      let name = String(decoding: variable.prefix { $0 != UInt8(ascii: "=") }, as: UTF8.self)
      let words = "\(name) is not UTF-8 (\(escapingBytes(variable.dropFirst(name.utf8.count + 1)))); \(remedy)"
      if name.hasPrefix("ALA_") { throw Failure.badConfiguration(words) }
      if makingPaths.contains(name) { throw Failure.unavailable(words) }
    }
    guard let folder = getcwd(nil, 0) else { return }
    defer { free(folder) }
    guard String(validatingCString: folder) == nil else { return }
    let bytes = UnsafeRawBufferPointer(start: folder, count: strlen(folder))
    throw Failure.unavailable("the path of the working folder, \(escapingBytes(bytes)), is not UTF-8; \(remedy)")
  }

  private static let makingPaths = ["HOME", "TMPDIR"]
  private static let remedy = "give names in UTF-8, of a symbolic link if need be"
}
