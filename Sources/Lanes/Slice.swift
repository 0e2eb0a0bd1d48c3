/// The part of `count` things that falls to one of several who share them: consecutive, none twice, none left out, and
/// of sizes that differ by one at most.
///
/// - Parameters:
///   - part: who asks, from 0.
///   - parts: how many share.
public func slice(of count: Int, part: Int, among parts: Int) -> Range<Int> {
  (part * count / parts)..<((part + 1) * count / parts)
}
