import Foundation

/// Programs run by tests as a user would run them.

public struct ProcessResult: Sendable {
  public let code: Int32
  public let output: String
  public let errors: String
}

/// The repository's root, from this file's place.
public let repositoryRoot: String = {
  var path = #filePath as NSString
  for _ in 0..<3 { path = path.deletingLastPathComponent as NSString }
  return path as String
}()

/// The files below a folder of the repository, by their paths from its root, in order.
public func filesBelow(_ folder: String) -> [String] {
  let all = FileManager.default.enumerator(atPath: "\(repositoryRoot)/\(folder)")?.allObjects as? [String] ?? []
  return all.map { "\(folder)/\($0)" }.sorted()
}

/// A program that the package builds, beside the running tests.
public func builtProgram(_ name: String) -> String {
  let beside = (CommandLine.arguments[0] as NSString).deletingLastPathComponent + "/\(name)"
  if FileManager.default.isExecutableFile(atPath: beside) { return beside }
  return "\(repositoryRoot)/.build/release/\(name)"
}

/// Real data that developers may have beside the repository; users have none.
public let optionalData: String? = {
  let path = "\(repositoryRoot)/../shared/data"
  return FileManager.default.fileExists(atPath: path) ? path : nil
}()

/// Whether nothing stands in a test's way; what does is printed. A condition's own comment would be made, and looked for,
/// even where the test is not asked for.
public func isFree(_ obstacle: String?) -> Bool {
  if let obstacle { print("skipped: \(obstacle)") }
  return obstacle == nil
}

/// Runs a program to its end.
///
/// - Parameters:
///   - seconds: after which it is killed; its code is then 137.
///   - whileRunning: called once it has started, with its process id.
public func run(
  _ program: String, _ arguments: [String], in folder: String = repositoryRoot, environment: [String: String] = [:],
  seconds: Double = 240, whileRunning: ((Int32) -> Void)? = nil
) throws -> ProcessResult {
  let process = Process()
  process.executableURL = URL(fileURLWithPath: program)
  process.arguments = arguments
  process.currentDirectoryURL = URL(fileURLWithPath: folder)
  process.environment = ProcessInfo.processInfo.environment.merging(environment) { $1 }
  let name = NSTemporaryDirectory() + "ala-test-\(getpid())-\(UInt32.random(in: 0 ... .max))"
  for suffix in ["out", "err"] { _ = FileManager.default.createFile(atPath: "\(name).\(suffix)", contents: nil) }
  defer { for suffix in ["out", "err"] { unlink("\(name).\(suffix)") } }
  process.standardOutput = FileHandle(forWritingAtPath: "\(name).out")
  process.standardError = FileHandle(forWritingAtPath: "\(name).err")
  // A child inherits its thread's blocked signals, and the threads that run tests block all of them.
  var everything = sigset_t()
  sigfillset(&everything)
  var before = sigset_t()
  pthread_sigmask(SIG_UNBLOCK, &everything, &before)
  try process.run()
  pthread_sigmask(SIG_SETMASK, &before, nil)
  whileRunning?(process.processIdentifier)
  let limit = Date().addingTimeInterval(seconds)
  while process.isRunning {
    if Date() > limit { kill(process.processIdentifier, SIGKILL) }
    usleep(5_000)
  }
  func text(_ suffix: String) -> String { (try? String(contentsOfFile: "\(name).\(suffix)", encoding: .utf8)) ?? "" }
  return ProcessResult(code: process.terminationStatus, output: text("out"), errors: text("err"))
}

/// Runs a program under `mpirun`; one rank runs it alone.
public func mpirun(
  ranks: Int, _ program: String, _ arguments: [String], environment: [String: String] = [:], seconds: Double = 240,
  whileRunning: ((Int32) -> Void)? = nil
) throws -> ProcessResult {
  let allowed = ["OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1"]
  return try run(
    "/usr/bin/mpirun", ["-np", "\(ranks)", "--oversubscribe", "--bind-to", "none", program] + arguments,
    environment: environment.merging(allowed) { $1 }, seconds: seconds, whileRunning: whileRunning)
}

/// A folder that is gone when the value is.
public final class TemporaryFolder {
  public let path: String

  public init() throws {
    path = NSTemporaryDirectory() + "ala-test-\(getpid())-\(UInt32.random(in: 0 ... .max))"
    try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
  }

  deinit { try? FileManager.default.removeItem(atPath: path) }
}
