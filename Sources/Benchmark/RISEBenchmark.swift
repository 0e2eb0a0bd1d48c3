import AttentionLattice
import Cluster
import Explaining
import Networks
import Settings
import Tensor

/// RISE's map of one image: this rank's share of the masks, by all threads, and their merging.
///
/// - Parameter masks: over all ranks.
func riseStep(_ model: LatticeModel, masks: Int, team: ThreadTeam, cluster: Cluster) throws -> () -> Void {
  let own = max(1, cluster.slice(of: masks).count)
  // Nothing is read from where these two lead: the model is there.
  let configuration = try Configuration.load(
    file: nil, sets: ["data.root=none", "encoder.weights=none", "rise.masks=\(own)"])
  let makeWorker = RISE().prepare(ExplainedModel(model, configuration) { model })
  let workers = (0..<team.threadCount).map { _ in
    guard let worker = makeWorker(model.makeInference()) as? any PartwiseWorker else {
      preconditionFailure("maps of RISE are made by parts")
    }
    return worker
  }
  let side = model.encoder.grid * model.encoder.patch
  let view = ExplainedView(
    imageID: 0, pixels: (0..<(side * side * 3)).map { UInt8(truncatingIfNeeded: $0 &* 131) },
    prediction: Prediction(probabilities: [], map: nil))
  let parts = workers[0].mostParts
  return {
    var made = [[Float]](repeating: [], count: parts)
    made.withUnsafeMutableBufferPointer { made in
      nonisolated(unsafe) let made = made
      team.run(parts) { part, thread in made[part] = workers[thread].part(part, of: view, target: 0) }
    }
    _ = workers[0].merge(made, of: view, target: 0)
  }
}
