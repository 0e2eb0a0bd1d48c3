import Dispatch

/// Nanoseconds since an earlier `DispatchTime.now().uptimeNanoseconds`; none where the clock has gone back, as one may that a
/// machine which is moved or simulated makes anew.
public func elapsedNanoseconds(since start: UInt64) -> UInt64 {
  let now = DispatchTime.now().uptimeNanoseconds
  return now > start ? now - start : 0
}
