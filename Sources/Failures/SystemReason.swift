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
