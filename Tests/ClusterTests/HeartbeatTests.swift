import Cluster
import Digests
import TestSupport
import Testing

/// What is promised of heartbeats: nobody but a rank of the job makes one, none is good twice, and they go over any network.

private let key = (0..<32).map { UInt8($0) }

private func seal(_ rank: Int, key: [UInt8] = key) -> HeartbeatSeal { HeartbeatSeal(key: key, rank: rank, size: 3) }

@Test func aHeartbeatIsGoodOnceForOneRankOfOneJob() {
  let (one, root) = (seal(1), seal(0))
  let first = one.seal(.beat(rank: 1, moves: 7, ProgressState()), to: 0)
  let second = one.seal(.end(rank: 1), to: 0)
  #expect(root.open(first[...]) == .beat(rank: 1, moves: 7, ProgressState()))
  #expect(root.open(first[...]) == nil, "told again")
  #expect(root.open(second[...]) == .end(rank: 1) && root.open(second[...]) == nil && root.open(first[...]) == nil)
  // A rank's numbers are its own.
  #expect(root.open(seal(2).seal(.end(rank: 2), to: 0)[...]) == .end(rank: 2))
  let third = one.seal(.end(rank: 1), to: 0)
  #expect(seal(2).open(third[...]) == nil, "for another rank")
  #expect(seal(0, key: key.reversed()).open(third[...]) == nil, "of another job")
  #expect(one.open(seal(1).seal(.end(rank: 1), to: 1)[...]) == nil, "its own")
  #expect(root.open(one.seal(.end(rank: 3), to: 0)[...]) == nil, "of no rank")
}

@Test func everyBitOfAHeartbeatIsUnderItsSeal() {
  let bytes = seal(1).seal(.beat(rank: 1, moves: 7, ProgressState()), to: 0)
  for bit in 0..<(8 * bytes.count) {
    var changed = bytes
    changed[bit / 8] ^= 1 << (bit % 8)
    #expect(seal(0).open(changed[...]) == nil, "bit \(bit)")
  }
  for count in 0..<bytes.count { #expect(seal(0).open(bytes.prefix(count)) == nil) }
  #expect(seal(0).open((bytes + [0])[...]) == nil && seal(0).open(bytes[...]) != nil)
}

@Test func codesOfMessagesAreThoseOfRFC4231() {
  func code(_ message: String, _ key: [UInt8]) -> String {
    messageCode(of: Array(message.utf8), key: key).map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
  }
  #expect(
    code("Hi There", [UInt8](repeating: 0x0B, count: 20))
      == "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7")
  #expect(
    code("what do ya want for nothing?", Array("Jefe".utf8))
      == "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843")
}

@Test(arguments: [true, false]) func heartbeatsGoOverIPv4AloneAndOverIPv6Alone(isIPv4: Bool) throws {
  let (one, other) = (try #require(HeartbeatSocket()), try #require(HeartbeatSocket()))
  let place = other.endpoint(host: "here").filter { $0.isIPv4 == isIPv4 }
  guard isFree(place.addresses.isEmpty ? "this machine has no such address" : nil) else { return }
  one.send([1, 2, 3], to: place, isOwnHost: true)
  #expect(other.receive(seconds: 10)?.bytes == [1, 2, 3])
}
