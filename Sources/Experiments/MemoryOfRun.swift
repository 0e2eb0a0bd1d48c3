import Failures
import Networks
import Settings

extension Experiment {
  /// What the passes over images call for, now that the encoder and the data are known.
  func memoryNeeds(isTraining: Bool) -> [MemoryNeed] {
    let encoder = model.encoder
    let tokens = Double(encoder.patchCount + 1)
    let threads = Double(team.threadCount * cluster.localSize)
    // A square of scores for each thread; the backward pass holds two.
    var needs = [
      MemoryNeed(
        "image.size", "the attention scores of \(encoder.patchCount + 1) tokens",
        bytes: 4 * tokens * tokens * threads * (isTraining ? 2 : 1)),
      MemoryNeed("cache.views", "the cache's rows", bytes: 8 * Double(cachedRowCount)),
    ]
    guard isTraining else { return needs }
    let samples = Double(configuration.training.batch) * Double(cluster.localSize) / Double(cluster.size)
    // h of the encoder, which every network reads; in the side branch a layer's input, q, k, v and hidden values.
    let side = configuration.side
    let kept = configuration.model.kind == NetworkKind.lattice.rawValue ? Double(8 * side.width * side.layers) : 0
    needs.append(
      MemoryNeed(
        "training.batch", "the activations of a batch",
        bytes: 4 * samples * tokens * (Double(encoder.width) + kept)))
    return needs
  }
}
