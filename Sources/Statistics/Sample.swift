/// Mean and spread of a sample. Nothing here knows what was measured.

/// - Returns: nil of no value.
public func mean(_ values: [Double]) -> Double? {
  values.isEmpty ? nil : values.reduce(0, +) / Double(values.count)
}

/// The middle value, or the mean of the two in the middle.
///
/// - Returns: nil of no value.
public func median(_ values: [Double]) -> Double? {
  guard !values.isEmpty else { return nil }
  let sorted = values.sorted()
  return (sorted[(sorted.count - 1) / 2] + sorted[sorted.count / 2]) / 2
}

/// The variance of the population that a sample is of: over n − 1.
///
/// - Returns: nil of fewer than two values.
public func sampleVariance(_ values: [Double]) -> Double? {
  guard values.count > 1, let mean = mean(values) else { return nil }
  return values.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(values.count - 1)
}

/// The standard deviation over n − 1.
///
/// - Returns: nil of fewer than two values.
public func sampleDeviation(_ values: [Double]) -> Double? { sampleVariance(values)?.squareRoot() }
