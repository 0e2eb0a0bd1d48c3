import Reproducibility
import Testing

/// What is promised of which runs, and which of them are tried.

@Test func bitsArePromisedWhereRanksDivideLanesAndWhereNothingButOneWorldSizeIsUsed() {
  for (worlds, lanes, promise) in [
    ([1, 2, 4], 4, Equality.bits), ([1, 8], 8, .bits), ([3, 3], 4, .bits), ([3, 1], 4, .rounding),
    ([1, 8], 4, .rounding), ([2, 6], 12, .bits),
  ] {
    #expect(Equality.promised(worlds, lanes: lanes) == promise, "\(worlds) over \(lanes) lanes")
  }
}

@Test func everyWorldSizeIsTriedAndInterruptedRunsAreOfSizesThatKeepTheBits() {
  for (worlds, lanes, last) in [([1, 2, 4], 4, 4), ([1, 2, 3], 4, 2), ([3], 4, 3), ([3, 2], 4, 3), ([2, 1], 8, 1)] {
    let trials = Trial.all(worlds: worlds, threads: 1, lanes: lanes)
    #expect(trials.prefix(worlds.count).map(\.ranks) == worlds.map { [$0] })
    #expect(trials.contains(Trial(ranks: [worlds[0]], threads: 2)))
    #expect(trials.contains { $0.cachedBy == last })
    for way in [Trial.Interruption.stopped, .killed] {
      let tried = trials.first { $0.interruption == way }
      #expect(tried.map { Set($0.ranks) } == [worlds[0], last], "\(worlds): \(way)")
    }
    #expect(Set(trials.map(\.name)).count == trials.count)
  }
}
