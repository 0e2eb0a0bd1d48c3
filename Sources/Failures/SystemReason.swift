import Foundation

/// What the system says of a call that has failed, for messages.
///
/// - Parameter code: an `errno`; 0 where a library has left none, which is no success.
public func systemReason(_ code: Int32 = errno) -> String {
  code == 0 ? "the system gives no reason" : String(cString: strerror(code))
}

/// The same of an error that Foundation has thrown: the `errno` behind it, where there is one.
public func systemReason(_ error: Error) -> String {
  var error = error as NSError
  while error.domain != NSPOSIXErrorDomain {
    guard let underlying = error.userInfo[NSUnderlyingErrorKey] as? NSError else {
      return "the system gives no reason"
    }
    error = underlying
  }
  return systemReason(Int32(error.code))
}

extension Failure {
  /// A call of the system's that has failed.
  ///
  /// - Parameters:
  ///   - code: unless the process has too many files open or there is no memory: that is 69, whatever was to be done.
  ///   - what: the file, and what could not be done with it; the system's reason is put behind it.
  public static func ofCall(_ code: ExitCode, _ what: String, _ number: Int32 = errno) -> Failure {
    Failure(lacks.contains(number) ? .unavailable : code, "\(what): \(systemReason(number))")
  }

  private static let lacks: Set<Int32> = [EMFILE, ENFILE, ENOMEM]
}
