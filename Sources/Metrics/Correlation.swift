/// Pearson's r of two maps; 0 where one of them is constant.
public func pearson(_ one: [Double], _ other: [Double]) -> Double {
  let n = Double(one.count)
  let (a, b) = (one.reduce(0, +) / n, other.reduce(0, +) / n)
  var (ab, aa, bb) = (0.0, 0.0, 0.0)
  for (x, y) in zip(one, other) {
    ab += (x - a) * (y - b)
    aa += (x - a) * (x - a)
    bb += (y - b) * (y - b)
  }
  return aa > 0 && bb > 0 ? ab / (aa * bb).squareRoot() : 0
}

/// Spearman's ρ of two maps of one size: Pearson's r of the ranks of their values, where equal values have the mean of
/// the ranks that they take up; nil where one of the maps is constant.
public func spearman(_ one: [Float], _ other: [Float]) -> Double? {
  precondition(one.count == other.count)
  guard let first = one.first, let second = other.first, one.contains(where: { $0 != first }),
    other.contains(where: { $0 != second })
  else { return nil }
  return pearson(averageRanks(one), averageRanks(other))
}

/// Ranks from 1; equal values have the mean of the ranks that they take up.
private func averageRanks(_ values: [Float]) -> [Double] {
  let order = values.indices.sorted { values[$0] < values[$1] }
  var ranks = [Double](repeating: 0, count: values.count)
  var first = 0
  while first < order.count {
    var end = first + 1
    while end < order.count, values[order[end]] == values[order[first]] { end += 1 }
    for index in order[first..<end] { ranks[index] = Double(first + 1 + end) / 2 }
    first = end
  }
  return ranks
}
