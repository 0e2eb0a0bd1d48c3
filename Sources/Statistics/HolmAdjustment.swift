/// Holm's step-down adjustment of p-values for as many tests as there are.

/// The adjusted values, in the order given: sorted ascending, the i-th of m is multiplied by m − i + 1, none is below one
/// before it, none above 1.
///
/// - Parameter values: nil where there was no test; it stays nil and is not counted.
public func holmAdjusted(_ values: [Double?]) -> [Double?] {
  let tested = values.indices.filter { values[$0] != nil }.sorted { (values[$0] ?? 0) < (values[$1] ?? 0) }
  var result = [Double?](repeating: nil, count: values.count)
  var largest = 0.0
  for (rank, index) in tested.enumerated() {
    largest = max(largest, min(1, (values[index] ?? 1) * Double(tested.count - rank)))
    result[index] = largest
  }
  return result
}
