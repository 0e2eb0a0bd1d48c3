/// Welch's t-test: whether two samples of unequal variances are of one mean.

/// Two-sided p of Welch's t with the degrees of freedom of Welch and Satterthwaite, variances over n − 1.
///
/// - Returns: nil where a sample has fewer than two values, or neither varies: there is no test then.
public func welchTest(_ one: [Double], _ other: [Double]) -> Double? {
  guard let (meanOne, varianceOne) = moments(one), let (meanOther, varianceOther) = moments(other) else { return nil }
  let (a, b) = (varianceOne / Double(one.count), varianceOther / Double(other.count))
  guard a + b > 0 else { return nil }
  let t = (meanOne - meanOther) / (a + b).squareRoot()
  // Of the shares of the whole, whose squares do not underflow where the variances are tiny.
  let (shareOne, shareOther) = (a / (a + b), b / (a + b))
  let freedom =
    1 / (shareOne * shareOne / Double(one.count - 1) + shareOther * shareOther / Double(other.count - 1))
  return regularisedIncompleteBeta(freedom / (freedom + t * t), freedom / 2, 0.5)
}

/// Mean and variance; a sample of equal values has none, whatever rounding makes of their mean.
private func moments(_ values: [Double]) -> (mean: Double, variance: Double)? {
  guard let mean = mean(values), let variance = sampleVariance(values) else { return nil }
  return (mean, values.allSatisfy { $0 == values[0] } ? 0 : variance)
}
