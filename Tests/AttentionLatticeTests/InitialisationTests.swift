import AttentionLattice
import Encoder
import Foundation
import Layers
import TestSupport
import Testing

/// Every trained tensor starts from the distribution that docs/model.md names, told here by its name and shape alone.

private enum Distribution {
  case constant(Double)
  case uniform(Double)
  case normal(Double)
  /// Cut at ±2σ.
  case truncated(Double)

  /// The share of values up to x.
  func cumulative(_ x: Double) -> Double {
    func phi(_ z: Double) -> Double { 0.5 * erfc(-z / 2.0.squareRoot()) }
    switch self {
    case .constant(let value): return x < value ? 0 : 1
    case .uniform(let bound): return min(max((x / bound + 1) / 2, 0), 1)
    case .normal(let sigma): return phi(x / sigma)
    case .truncated(let sigma): return min(max((phi(x / sigma) - phi(-2)) / (phi(2) - phi(-2)), 0), 1)
    }
  }
}

private func expected(_ name: String, _ shape: [Int]) -> Distribution {
  let fanOut = Double(shape[0] * shape.dropFirst(2).reduce(1, *))
  if name.hasSuffix("lora.A") { return .uniform(1 / Double(shape[1]).squareRoot()) }
  if name.hasSuffix("lora.B") { return .constant(0) }
  if name == "side.position" { return .normal(0.02) }
  if name.contains("norm") { return .constant(name.hasSuffix("weight") ? 1 : 0) }
  if name.hasPrefix("side.") { return name.hasSuffix("weight") ? .truncated(0.02) : .constant(0) }
  if name.hasPrefix("attention.classifier") { return .uniform(1 / 200.0.squareRoot()) }
  if name.hasPrefix("perception.classifier") { return .uniform(1 / 128.0.squareRoot()) }
  return .normal((2 / fanOut).squareRoot())
}

private func makeModel(seed: UInt64) throws -> LatticeModel {
  var options = ModelOptions(
    encoder: EncoderOptions(
      weights: "\(repositoryRoot)/Tests/AttentionLatticeTests/Fixtures/clip.encoder.safetensors", imageSide: 24,
      heads: 2, loraBlocks: [2, 3]),
    classes: 200)
  options.side.layers = 2
  options.side.fusion = [0, 1]
  let model = try LatticeModel(options, training: false)
  model.parameters.initialise(seed: seed)
  return model
}

private func startValues(_ model: LatticeModel) -> [String: [Double]] {
  let store = model.parameters
  return Dictionary(
    uniqueKeysWithValues: store.parameters.map { parameter in
      (parameter.name, store.fileValues(of: parameter, in: store.values).map { Double($0) })
    })
}

@Test func everyTensorStartsFromItsDistribution() throws {
  let model = try makeModel(seed: 5)
  let values = startValues(model)
  for parameter in model.parameters.parameters {
    let sample = (values[parameter.name] ?? []).sorted()
    let distribution = expected(parameter.name, parameter.shape)
    if case .constant(let value) = distribution {
      #expect(sample.allSatisfy { $0 == value }, "\(parameter.name)")
      continue
    }
    // Kolmogorov and Smirnov's distance; 2/√n is passed by chance once in 1,500 tensors.
    let n = Double(sample.count)
    let distance =
      sample.enumerated().map { index, x in
        max(
          abs(distribution.cumulative(x) - Double(index) / n), abs(distribution.cumulative(x) - Double(index + 1) / n))
      }.max() ?? 1
    #expect(distance < 2 / n.squareRoot(), "\(parameter.name): \(distance) of \(sample.count)")
  }
}

@Test func startsOfTwoTensorsOrTwoSeedsAreIndependent() throws {
  let (one, other) = (startValues(try makeModel(seed: 5)), startValues(try makeModel(seed: 6)))
  func correlation(_ a: [Double], _ b: [Double]) -> Double {
    let dot = zip(a, b).reduce(0) { $0 + $1.0 * $1.1 }
    let squares = a.reduce(0) { $0 + $1 * $1 } * b.reduce(0) { $0 + $1 * $1 }
    return dot / squares.squareRoot() * Double(a.count).squareRoot()
  }
  let drawn = one.filter { $0.value.count > 100 && Set($0.value).count > 10 }.sorted { $0.key < $1.key }
  #expect(drawn.count > 30)
  for (index, (name, values)) in drawn.enumerated() {
    #expect(abs(correlation(values, other[name] ?? [])) < 4.5, "\(name) of two seeds")
    for (second, others) in drawn.dropFirst(index + 1) where others.count == values.count {
      #expect(abs(correlation(values, others)) < 4.5, "\(name) and \(second)")
    }
  }
  #expect(startValues(try makeModel(seed: 5)) == one)
}
