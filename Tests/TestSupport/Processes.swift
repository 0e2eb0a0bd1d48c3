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
///   - seconds: after which it is killed with everything that it has started, wherever that has gone; its code is then 9.
///   - whileRunning: called once it has started, with its process id.
public func run(
  _ program: String, _ arguments: [String], in folder: String = repositoryRoot, environment: [String: String] = [:],
  seconds: Double = 240, whileRunning: ((Int32) -> Void)? = nil
) throws -> ProcessResult {
  let process = Process()
  process.executableURL = URL(fileURLWithPath: program)
  process.arguments = arguments
  process.currentDirectoryURL = URL(fileURLWithPath: folder)
  let mark = (name: "TEST_RUN", value: "\(getpid())-\(UInt32.random(in: 0 ... .max))")
  process.environment = ProcessInfo.processInfo.environment.merging(environment) { $1 }
    .merging([mark.name: mark.value]) { $1 }
  let name = NSTemporaryDirectory() + "ala-test-\(getpid())-\(UInt32.random(in: 0 ... .max))"
  for suffix in ["out", "err"] { _ = FileManager.default.createFile(atPath: "\(name).\(suffix)", contents: nil) }
  defer { for suffix in ["out", "err"] { unlink("\(name).\(suffix)") } }
  // A `Process` keeps them open when it has long ended.
  let streams = ["out", "err"].map { FileHandle(forWritingAtPath: "\(name).\($0)") }
  defer { for stream in streams { try? stream?.close() } }
  (process.standardOutput, process.standardError) = (streams[0], streams[1])
  // A child inherits its thread's blocked signals, and the threads that run tests block all of them.
  var everything = sigset_t()
  sigfillset(&everything)
  var before = sigset_t()
  pthread_sigmask(SIG_UNBLOCK, &everything, &before)
  try process.run()
  pthread_sigmask(SIG_SETMASK, &before, nil)
  // Beside what the test does meanwhile, which may wait for the program in vain.
  let limit = DispatchWorkItem { killAll(with: "\(mark.name)=\(mark.value)") }
  DispatchQueue.global().asyncAfter(deadline: .now() + seconds, execute: limit)
  whileRunning?(process.processIdentifier)
  // A process that the program has left behind keeps it from being known to have ended.
  let begin = Date()
  while process.isRunning {
    if Date().timeIntervalSince(begin) > seconds + 10 { killAll(with: "\(mark.name)=\(mark.value)") }
    usleep(5_000)
  }
  limit.cancel()
  func text(_ suffix: String) -> String { (try? String(contentsOfFile: "\(name).\(suffix)", encoding: .utf8)) ?? "" }
  return ProcessResult(code: process.terminationStatus, output: text("out"), errors: text("err"))
}

/// Kills every process that has been started with a variable in its environment.
private func killAll(with variable: String) {
  for name in (try? FileManager.default.contentsOfDirectory(atPath: "/proc")) ?? [] {
    guard let process = Int32(name), process != getpid(),
      let text = FileManager.default.contents(atPath: "/proc/\(process)/environ"),
      text.split(separator: 0).contains(where: { $0.elementsEqual(variable.utf8) })
    else { continue }
    kill(process, SIGKILL)
  }
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
