import Cluster
import Foundation
import TestSupport
import Testing

/// What `Cluster` promises of sums and agreement, by real ranks under `mpirun`; `ClusterProbe` is one of them.

private let sizes = [1, 2, 3, 5, 8]

/// What every rank of a run has got, by rank. Runs are made once for all tests.
private func reports(_ size: Int) throws -> [[String: [String]]] { try runs[size]?.get() ?? [] }

private let runs: [Int: Result<[[String: [String]]], Error>] = Dictionary(
  uniqueKeysWithValues: sizes.map { size in
    (
      size,
      Result {
        let folder = try TemporaryFolder()
        let result = try mpirun(ranks: size, builtProgram("ClusterProbe"), [folder.path], seconds: 60)
        try #require(result.code == 0, "\(size) ranks: \(result.code) \(result.errors)")
        return try (0..<size).map { rank in
          let data = try Data(contentsOf: URL(fileURLWithPath: "\(folder.path)/\(rank).json"))
          return try JSONDecoder().decode([String: [String]].self, from: data)
        }
      }
    )
  })

/// As `ClusterProbe` makes them.
private func values(rank: Int, count: Int) -> [Float] {
  var state = UInt64(rank + 1) &* 0x9E37_79B9_7F4A_7C15
  return (0..<count).map { _ in
    state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
    return Float(Int32(truncatingIfNeeded: state >> 32)) * 0x1p-20
  }
}

/// The sum by the tree that pairs neighbours first; ranks beyond the largest power of two are added to the first ones
/// before.
private func treeSum(_ ranks: [[Float]]) -> [Float] {
  func add(_ a: [Float], _ b: [Float]) -> [Float] { zip(a, b).map { $0 + $1 } }
  var power = 1
  while power * 2 <= ranks.count { power *= 2 }
  var leaves = Array(ranks.prefix(power))
  for (index, extra) in ranks.dropFirst(power).enumerated() { leaves[index] = add(leaves[index], extra) }
  while leaves.count > 1 {
    leaves = stride(from: 0, to: leaves.count, by: 2).map { add(leaves[$0], leaves[$0 + 1]) }
  }
  return leaves[0]
}

@Test(arguments: sizes) func aSumIsTheTreesToTheBitOnEveryRankAndByEveryReducer(size: Int) throws {
  let expected = treeSum((0..<size).map { values(rank: $0, count: 2000) }).map { String($0.bitPattern) }
  let reports = try reports(size)
  #expect(reports.count == size)
  for report in reports {
    #expect(report["sum first"] == expected)
    #expect(report["sum second"] == expected)
  }
}

@Test(arguments: sizes) func everyRankGetsWhatEveryRankHasGiven(size: Int) throws {
  for (rank, report) in try reports(size).enumerated() {
    #expect(report["place"] == ["\(rank) of \(size)"])
    #expect(report["sum"] == [String((1...size).reduce(0, +))])
    #expect(report["maximum"] == [String((0..<size).map { $0 * 3 % 7 }.max() ?? 0)])
    #expect(report["gathered"] == (0..<size).map { "rank \($0)" })
    #expect(report["broadcast"] == ["of the last"])
    #expect(report["from root"] == ["rank 0"])
    #expect(report["shared"] == ["true"])
  }
}

@Test(arguments: sizes) func slicesLeaveNothingOutAndTakeNothingTwice(size: Int) throws {
  let bounds = try reports(size).compactMap { $0["slice"]?.first }.map { text in
    text.components(separatedBy: "..<").compactMap { Int($0) }
  }
  #expect(bounds.first?.first == 0 && bounds.last?.last == 11)
  #expect(zip(bounds, bounds.dropFirst()).allSatisfy { $0.last == $1.first }, "\(bounds)")
}

@Test(arguments: sizes) func allThrowWhatTheLowestFailingRankHasMetAndGoOnAlike(size: Int) throws {
  for report in try reports(size) {
    let agreed = report["agreed"] ?? []
    try #require(agreed.count == 4)
    let lowest = size == 1 ? 0 : 1
    #expect(
      agreed[0].hasPrefix("65 file \(lowest)") && (size == 1 || agreed[0].contains("(rank \(lowest) on ")), "\(agreed)")
    #expect(agreed[1].hasPrefix("73 disk") && agreed[2] == "nothing" && agreed[3] == "nothing", "\(agreed)")
  }
  #expect(Set(try reports(size).map { $0["agreed"] ?? [] }).count == 1)
}

@Test(arguments: sizes) func theGravestCallOfARoundIsHeardByAll(size: Int) throws {
  for report in try reports(size) { #expect(report["round"] == ["signal", "flag", "none"]) }
}

@Test(arguments: sizes) func differencesAreNamedAlikeOnAllRanks(size: Int) throws {
  for report in try reports(size) {
    let likeness = report["likeness"] ?? []
    guard size > 1 else {
      #expect(likeness == ["nothing"])
      continue
    }
    #expect(likeness.dropFirst() == ["key", "own"])
    let text = likeness.first ?? ""
    #expect(text.hasPrefix("78 the ranks differ: key is a on rank"), "\(text)")
    #expect(text.contains("b on rank \(size - 1) (") && text.contains("y on rank \(size - 1) ("), "\(text)")
    #expect(text.contains("own is not given on rank") && !text.contains("same is"), "\(text)")
  }
}

@Test func aRankHasTheProcessorsThatItIsBoundToAndItsShareOfCommonOnes() {
  func share(_ own: Range<Int>, _ others: Range<Int>...) -> Int {
    Cluster.share(of: Set(own), among: ([own] + others).map { Set($0) })
  }
  #expect(share(0..<8) == 8 && share(0..<8, 0..<8) == 4 && share(0..<9, 0..<9, 0..<9) == 3)
  #expect(share(0..<7, 0..<7) == 3, "what does not divide evenly is left")
  #expect(share(0..<8, 8..<16) == 8, "a socket of its own each")
  #expect(share(0..<8, 0..<8, 8..<16, 8..<16) == 4, "two ranks a socket")
  #expect(share(0..<4, 2..<6) == 3, "two of its own, and half of two")
  #expect(share(0..<1, 0..<1, 0..<1) == 0)
}
