public func roundToBFloat16(_ y: UnsafeMutablePointer<UInt16>, _ x: ConstFloats, _ count: Int) {
  var i = 0
  while i + vectorWidth <= count {
    UnsafeMutableRawPointer(y + i).storeBytes(of: upperHalves(load(x + i)), as: SIMD16<UInt16>.self)
    i += vectorWidth
  }
  guard i < count else { return }
  let rest = upperHalves(loadPart(x + i, count - i))
  for lane in 0..<(count - i) { y[i + lane] = rest[lane] }
}

/// Adding half of the last kept place, less one where that place is even, carries exactly where rounding up is due.
@inline(always)
private func upperHalves(_ x: Vector) -> SIMD16<UInt16> {
  let bits = unsafeBitCast(x, to: SIMD16<UInt32>.self)
  var rounded = (bits &+ (0x7FFF &+ ((bits &>> 16) & 1))) &>> 16
  rounded.replace(with: 0x7FC0, where: x .!= x)
  return SIMD16<UInt16>(truncatingIfNeeded: rounded)
}
