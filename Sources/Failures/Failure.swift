/// What every module throws for a fault in the world outside the program: files, settings, machines.
///
/// A programmer's mistake is a `precondition`; everything a user or a file can cause is a `Failure`.

/// The exit codes of `ala`, after BSD's `sysexits`.
public enum ExitCode: Int32, Sendable {
  case done = 0
  case usage = 64
  case badData = 65
  case missingInput = 66
  case unavailable = 69
  case internalError = 70
  case cannotWrite = 73
  case interrupted = 75
  case badConfiguration = 78
}

/// An error with a sentence for the user: what was being done, to which file, key or tensor, what was found,
/// what was expected.
public struct Failure: Error, Equatable, Sendable, CustomStringConvertible {
  public let code: ExitCode
  public let message: String

  public init(_ code: ExitCode, _ message: String) {
    self.code = code
    self.message = message
  }

  public var description: String { message }

  public static func usage(_ message: String) -> Failure { Failure(.usage, message) }
  public static func badData(_ message: String) -> Failure { Failure(.badData, message) }
  public static func missingInput(_ message: String) -> Failure { Failure(.missingInput, message) }
  public static func unavailable(_ message: String) -> Failure { Failure(.unavailable, message) }
  public static func internalError(_ message: String) -> Failure { Failure(.internalError, message) }
  public static func cannotWrite(_ message: String) -> Failure { Failure(.cannotWrite, message) }
  public static func interrupted(_ message: String) -> Failure { Failure(.interrupted, message) }
  public static func badConfiguration(_ message: String) -> Failure { Failure(.badConfiguration, message) }
}
