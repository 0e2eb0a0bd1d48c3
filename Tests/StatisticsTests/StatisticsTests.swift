import Statistics
import TestSupport
import Testing

/// Tests of significance against SciPy, statsmodels and NumPy (`scripts/fixtures/significance.py`).

private func names(_ fixture: Fixture, below prefix: String) -> Set<String> {
  Set(fixture.names(below: prefix).compactMap { $0.split(separator: "/").first.map(String.init) })
}

private func expect(_ quantity: String, _ reference: String, _ detail: String, _ found: Double?, _ expected: Double) {
  let error = found.map { abs($0 - expected) / expected } ?? .infinity
  noteDifference(quantity, reference: reference, error, limit: 1e-10)
  #expect(error <= 1e-10, "\(quantity), \(detail): \(found as Any), expected \(expected)")
}

@Test func welchsTestIsSciPys() throws {
  let f = try Fixture("statistics.safetensors")
  let cases = names(f, below: "welch/")
  #expect(cases.count == 7)
  for name in cases {
    let (one, other) = (try f.doubles("welch/\(name)/one"), try f.doubles("welch/\(name)/other"))
    let expected = try f.doubles("welch/\(name)/p")[0]
    expect("p of Welch's t", "SciPy", name, welchTest(one, other), expected)
    #expect(welchTest(one, other) == welchTest(other, one), "\(name)")
  }
}

@Test func thereIsNoTestOfOneValueOrOfNoVariance() {
  #expect(welchTest([0.1], [0.2, 0.3]) == nil && welchTest([], [0.2, 0.3]) == nil)
  #expect(welchTest([0.1, 0.1, 0.1], [0.2, 0.2, 0.2]) == nil)
  #expect(sampleDeviation([0.1]) == nil && mean([]) == nil)
  let bootstrap = PairedBootstrap(draws: 100, seed: 0, stream: "s")
  #expect(bootstrap.pValues([[0, 0, 0], [0.1, 0.1, 0.1]]) == [nil, nil])
  #expect(bootstrap.pValues([[0.1]]) == [nil] && bootstrap.pValues([]) == [])
  #expect(bootstrap.pValues([[0.1, 0.1, 0.2], [0, 0, 0]])[1] == nil)
}

@Test func theMedianIsTheMiddleOrLiesBetweenTheTwoInIt() {
  #expect(median([3, 1, 2]) == 2 && median([4, 1, 3, 2]) == 2.5 && median([0.1]) == 0.1 && median([]) == nil)
}

@Test func holmsAdjustmentIsStatsmodels() throws {
  let f = try Fixture("statistics.safetensors")
  let cases = names(f, below: "holm/")
  #expect(cases.count == 4)
  for name in cases {
    let found = holmAdjusted(try f.doubles("holm/\(name)/p"))
    for (value, expected) in zip(found, try f.doubles("holm/\(name)/adjusted")) {
      expect("p adjusted after Holm", "statsmodels", name, value, expected)
    }
  }
}

@Test func testsThatAreNotThereDoNotCountInHolmsAdjustment() {
  let with = holmAdjusted([nil, 0.01, nil, 0.04])
  #expect(with[0] == nil && with[2] == nil)
  #expect([with[1], with[3]] == holmAdjusted([0.01, 0.04]))
}

@Test(arguments: [5, 40]) func theBootstrapIsNumPysOnTheSameDraws(count: Int) throws {
  let f = try Fixture("statistics.safetensors")
  let flat = try f.doubles("bootstrap/\(count)/series")
  let series = stride(from: 0, to: flat.count, by: count).map { Array(flat[$0..<($0 + count)]) }
  let found = PairedBootstrap(draws: 10_000, seed: 7, stream: "table.bootstrap").pValues(series)
  for (index, expected) in try f.doubles("bootstrap/\(count)/p").enumerated() {
    expect("p of the paired bootstrap", "NumPy, same draws", "\(count) items, series \(index)", found[index], expected)
  }
}
