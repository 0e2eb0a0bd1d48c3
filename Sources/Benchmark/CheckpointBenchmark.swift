import Experiments
import AttentionLattice
import Cluster
import Encoder
import Failures
import Files
import Foundation
import Layers
import Storage
import Training

// `ala bench checkpoint`: what a checkpoint of a ViT-B/16 run costs.

public struct CheckpointResult: Codable, Sendable {
  public let work: String
  public let mib: Double
  /// From the call to the renamed, durable file, the folder's links included, which is beside the steps; the fastest of
  /// the repeats.
  public let seconds: Double
  /// What the step waits for: the copy of the state; the slowest of the repeats.
  public let waitSeconds: Double
  /// Of the digest that ends every epoch.
  public let digestSeconds: Double
  /// The wait over a minute: the share of training time at one checkpoint a minute.
  public let share: Double

  enum CodingKeys: String, CodingKey {
    case work, mib, seconds, share
    case waitSeconds = "wait_seconds"
    case digestSeconds = "digest_seconds"
  }
}

/// - Parameter parent: the folder below which the checkpoints are written and removed again; it is made, and removed, where
///   it is not there.
/// - Throws: `Failure` 73; 75 after a signal.
public func benchmarkCheckpoint(repeats: Int, cluster: Cluster, below parent: String) throws -> CheckpointResult {
  let model = try RandomEncoder.with(cluster) { path in
    try LatticeModel(
      ModelOptions(encoder: EncoderOptions(weights: path, imageSide: 224), classes: 200), training: true)
  }
  let store = model.parameters
  store.initialise(seed: 0)
  for arena in [store.firstMoments, store.secondMoments] {
    arena.base.update(from: store.values.base, count: arena.count)
  }
  let path = "\(parent)/ala-bench-\(getpid())-checkpoints"
  return try withWorkFolder(path, together: cluster.barrier) { try write(store, repeats: repeats, to: path) }
}

private func write(_ store: ParameterStore, repeats: Int, to path: String) throws -> CheckpointResult {
  let signals = SignalWatch()
  let folder = CheckpointFolder(path: path, keep: 2)
  let writer = CheckpointWriter(folder, of: store)
  var (best, wait, digest) = (Double.infinity, 0.0, Double.infinity)
  for step in 1...(repeats + 1) {
    if signals.pending != nil { throw Failure.interrupted("interrupted; nothing is kept") }
    let begun = try seconds {
      try writer.begin(step: step, attributes: ["config": .text("")], isBest: true, bestStep: step)
    }
    let rest = try seconds { try writer.finish() }
    // The first makes the folder, and maps the memory.
    if step > 1 { (best, wait) = (min(best, begun + rest), max(wait, begun)) }
    digest = min(digest, seconds { _ = modelTensors(store).digest() })
  }
  let size = try FileManager.default.attributesOfItem(atPath: folder.last)[.size] as? Int ?? 0
  return CheckpointResult(
    work: "checkpoint", mib: Double(size) / 1_048_576, seconds: best, waitSeconds: wait,
    digestSeconds: digest, share: wait / 60)
}
