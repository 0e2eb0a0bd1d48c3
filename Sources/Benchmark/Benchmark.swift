import Experiments
import AttentionLattice
import Cluster
import Encoder
import FCAM
import Failures
import Foundation
import Layers
import Machine
import Networks
import Randomness
import Statistics
import Tensor
import Training

// `ala bench`: the parts of the system at ViT-B/16 size, 224 pixels and 200 classes, on random weights.

public enum BenchmarkWork: String, CaseIterable, Sendable {
  /// The frozen encoder, all blocks.
  case encode
  /// A step of an `alpha` or a `ones` epoch from cached features, update included.
  case trainAlpha = "train-alpha"
  case trainOnes = "train-ones"
  /// The same from pixels.
  case liveAlpha = "live-alpha"
  case liveOnes = "live-ones"
  /// The whole model's inference, as insertion and deletion use it.
  case perturb
  /// A step of F-CAM's decoder from cached features, update included.
  case fcam
  /// RISE's map of one image, to be held against `perturb`.
  case rise

  var phase: Phase? {
    switch self {
    case .encode, .perturb, .rise: nil
    case .trainAlpha, .liveAlpha: .alpha
    case .trainOnes, .liveOnes: .ones
    case .fcam: .decoder
    }
  }

  /// Whether it starts behind what the cache holds.
  public var startsFromCache: Bool { self == .trainAlpha || self == .trainOnes || self == .fcam }

  /// Samples of a step where nothing else is asked for; masks come in parts that a thread makes by itself.
  ///
  /// - Parameter threads: of all ranks.
  public func usualBatch(threads: Int) -> Int { self == .rise ? 20 * threads : 8 }

  var isLive: Bool { self == .liveAlpha || self == .liveOnes }

  /// Former names, by the parity of the phases' epochs.
  private static let aliases = [
    "train-odd": Self.trainAlpha, "train-even": .trainOnes, "live-odd": .liveAlpha, "live-even": .liveOnes,
  ]

  /// - Parameter name: a work's name, or a former one.
  public init?(named name: String) {
    guard let work = Self(rawValue: name) ?? Self.aliases[name] else { return nil }
    self = work
  }
}

/// What a benchmark has measured; over all ranks where there are several.
public struct BenchmarkResult: Codable, Sendable {
  public let work: String
  public let dtype: String
  public let world: Int
  public let threads: Int
  /// The global batch.
  public let batch: Int
  /// Of the fastest of the repeats.
  public let samplesPerSecond: Double
  /// The largest of a rank.
  public let peakRSS: Int
  /// What the product libraries alone reach on the work's own product shapes, on as many threads at once, in this
  /// process.
  public let gemmGFLOPS: Double
  /// samplesPerSecond over what that rate would allow for the work's products.
  public let roof: Double
  /// What the better of the linked libraries reaches on a product of 4096³ on as many threads, in this process.
  public let ceilingGFLOPS: Double
  /// samplesPerSecond over what that rate would allow for the work's products.
  public let ceiling: Double
  public let gflopPerSample: Double
  public let products: String
  /// The user has named OpenBLAS's kernel or cache size in the environment.
  public let isBLASForced: Bool
  /// What a step's sums of gradients over ranks take, and how much of it the step waits: medians, in milliseconds.
  public let gradientMilliseconds: Double?
  public let gradientWaitMilliseconds: Double?
  /// Of rank 0, where asked for.
  public let profile: ProfileReport?

  enum CodingKeys: String, CodingKey {
    case work, dtype, world, threads, batch, roof, ceiling, products, profile
    case samplesPerSecond = "samples_per_s"
    case peakRSS = "peak_rss_mib"
    case gemmGFLOPS = "gemm_gflops"
    case ceilingGFLOPS = "ceiling_gflops"
    case gflopPerSample = "gflop_per_sample"
    case gradientMilliseconds = "gradient_ms"
    case gradientWaitMilliseconds = "gradient_wait_ms"
    case isBLASForced = "blas_forced"
  }
}

public func benchmark(
  _ work: BenchmarkWork, threads: Int, batch: Int, steps: Int, repeats: Int, precision: Precision = .float32,
  library: ProductLibrary, isProfiled: Bool, isBLASForced: Bool, cluster: Cluster
) throws -> BenchmarkResult {
  try cluster.agree {
    try secureProducts(by: library, threads: threads, limit: MemoryLimit.ofAddressSpace()?.description)
  }
  var libraries = library.description
  if precision == .bfloat16 { libraries += ", \(try cluster.agree { try BFloat16Support.current() }.description)" }
  let team = ThreadTeam(threads: threads)
  let model = try RandomEncoder.with(cluster) { path in
    let share: EncoderFile.Share = {
      try cluster.sharedMemory($0, fill: $1)
    }
    return try cluster.agree {
      try work.makeNetwork(encoder: path, precision: precision, share: cluster.size > 1 ? share : nil)
    }
  }
  model.parameters.initialise(seed: 0)
  let products: ProductCount
  let step: () -> Void
  let costs = GradientCosts()
  if let phase = work.phase {
    products = model.trainingProducts(phase, isLive: work.isLive)
    step = trainingStep(model, phase, isLive: work.isLive, batch: batch, team: team, cluster: cluster, costs: costs)
  } else if let model = model as? LatticeModel {
    products = work == .encode ? model.encoderProducts(whole: true) : model.inferenceProducts()
    step =
      work == .rise
      ? try riseStep(model, masks: batch, team: team, cluster: cluster)
      : inferenceStep(model, work, batch: batch, team: team, cluster: cluster)
  } else {
    preconditionFailure("\(work) is a work of the lattice")
  }
  step()
  var best = Double.infinity
  if isProfiled { Profile.begin() }
  for _ in 0..<repeats {
    cluster.barrier()
    let start = DispatchTime.now().uptimeNanoseconds
    for _ in 0..<steps { step() }
    cluster.barrier()
    best = min(best, Double(elapsedNanoseconds(since: start)) / 1e9 / Double(steps))
  }
  let profile = isProfiled ? Profile.end(threads: threads) : nil
  let peak = cluster.maximum(Processor.peakMemory())
  cluster.barrier()
  let rate = try productRate(products, team: team) * Double(cluster.size)
  cluster.barrier()
  let ceiling = machineCeiling(team: team) * Double(cluster.size)
  let samples = Double(batch) / best
  return BenchmarkResult(
    work: work.rawValue, dtype: precision.rawValue, world: cluster.size, threads: threads, batch: batch,
    samplesPerSecond: samples,
    peakRSS: peak, gemmGFLOPS: rate, roof: samples * products.flop / 1e9 / rate, ceilingGFLOPS: ceiling,
    ceiling: samples * products.flop / 1e9 / ceiling, gflopPerSample: products.flop / 1e9,
    products: libraries, isBLASForced: isBLASForced, gradientMilliseconds: costs.median(\.milliseconds),
    gradientWaitMilliseconds: costs.median(\.waitMilliseconds), profile: profile)
}

/// What the steps' sums over ranks have cost.
private final class GradientCosts {
  private var costs: [GradientReducer.Cost] = []

  func add(_ cost: GradientReducer.Cost) { costs.append(cost) }

  func median(_ value: (GradientReducer.Cost) -> Double) -> Double? {
    Statistics.median(costs.map(value))
  }
}

/// The patches of a picture with large shapes and a little noise, as photographs have: the CRF's lattice depends on it.
private func paint(_ patches: Floats, _ encoder: ImageEncoder, seed: UInt64) {
  let side = encoder.grid * encoder.patch
  var stream = RandomStream(seed: seed, name: "bench.picture")
  let waves = (0..<12).map { _ in stream.uniform(-6, 6) }
  let pixels = (0..<(side * side * 3)).map { index -> UInt8 in
    let (x, y) = (Double(index / 3 % side) / Double(side), Double(index / 3 / side) / Double(side))
    let c = 4 * (index % 3)
    let level = 128 + 60 * sin(waves[c] * x + waves[c + 1] * y) + 50 * cos(waves[c + 2] * x * y + waves[c + 3])
    return UInt8(min(max(level + stream.uniform(-12, 12), 0), 255))
  }
  pixels.withUnsafeBufferPointer { if let base = $0.baseAddress { encoder.patchify(patches, pixels: base) } }
}

extension BenchmarkWork {
  /// The network that the work is of: ViT-B/16, 224 pixels, 200 classes.
  fileprivate func makeNetwork(
    encoder path: String, precision: Precision, share: EncoderFile.Share?
  ) throws -> any Network {
    var encoder = EncoderOptions(weights: path, imageSide: 224, precision: precision)
    if self == .encode || self == .fcam { encoder.loraBlocks = [] }
    let file = try EncoderFile(encoder, share: share, runsFrozenBlocks: !startsFromCache)
    guard self == .fcam else {
      return try LatticeModel(ModelOptions(encoder: encoder, classes: 200), on: file, training: phase != nil)
    }
    var weight = [Float](repeating: 0, count: 200 * file.width)
    weight.withUnsafeMutableBufferPointer { if let base = $0.baseAddress { fillWithNoise(base, $0.count, seed: 0) } }
    let classifier = FrozenClassifier(weight: weight, bias: [Float](repeating: 0, count: 200), sha256: "")
    var options = FCAMOptions()
    options.skips = [3, 2, 1, 0]
    return try FCAMModel(options, classifier: classifier, encoder, on: file, training: true)
  }
}

private func trainingStep(
  _ model: any Network, _ phase: Phase, isLive: Bool, batch: Int, team: ThreadTeam, cluster: Cluster,
  costs: GradientCosts
) -> () -> Void {
  let encoder = model.encoder
  let step = TrainingStep(
    model, batch: batch, team: team, cluster: cluster, rule: phase == .decoder ? .sgd(momentum: 0.9) : .adamW,
    weightDecay: 1e-4, clip: phase == .decoder ? 0 : 0.01)
  let pass = step.pass
  pass.begin(batch: batch)
  for index in 0..<pass.ownPositions.count {
    paint(pass.patches(index), encoder, seed: UInt64(index))
    guard !isLive else { continue }
    pass.fillFeaturesWithNoise(index, of: model, tail: encoder.firstLoRABlock - 1)
  }
  var number = 0
  return {
    number += 1
    pass.begin(batch: batch)
    for index in 0..<pass.ownPositions.count {
      pass.set(
        index, label: (number + index) % 200, input: isLive ? .pixels : .features(tail: encoder.firstLoRABlock - 1))
    }
    costs.add(
      step.run(phase, at: StepPlace(seed: 0, epoch: 1, step: number), learningRate: 1e-4).gradientCost)
  }
}

private func inferenceStep(
  _ model: LatticeModel, _ work: BenchmarkWork, batch: Int, team: ThreadTeam, cluster: Cluster
) -> () -> Void {
  let inferences = (0..<team.threadCount).map { _ in LatticeInference(model) }
  let count = model.encoder.patchCount * model.encoder.patchValues
  let views = (0..<batch).map { _ in Buffer(count) }
  for (index, view) in views.enumerated() { fillWithNoise(view.base, count, seed: UInt64(index)) }
  let own = cluster.slice(of: batch)
  return {
    team.run(own.count) { task, thread in
      let inference = inferences[thread]
      copy(inference.patches, views[own.lowerBound + task].base, count)
      if work == .encode {
        inference.encodeWholly()
      } else {
        inference.run(.pixels)
        _ = inference.probabilities()
      }
    }
  }
}
