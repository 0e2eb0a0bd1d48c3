import Cluster
import Experiments
import Failures

/// Refuses data that a table cannot be made of.
///
/// - Throws: `Failure` 65, 78; the same on every rank.
func checkData(_ experiment: Experiment) throws {
  let (dataset, split, cluster) = (experiment.dataset, experiment.split, experiment.cluster)
  for (label, entry) in dataset.classes.enumerated() {
    let images = dataset.images.filter { $0.label == label }
    let missing = images.isEmpty ? "image" : images.allSatisfy(\.isTest) ? "training image" : nil
    if let missing {
      throw cluster.agreed(
        .badData(
          "\(dataset.root): class \(entry.id) \(entry.name) has no \(missing): no row can learn it; leave it out (data.classes)"
        ))
    }
  }
  guard !split.test.isEmpty else { throw cluster.agreed(.badData("\(dataset.root): split test has no image")) }
  guard !split.valid.isEmpty else {
    throw cluster.agreed(
      .badConfiguration(
        "\(dataset.root): no class has the six training images of which one validates, so there is no validation split; "
          + "a table chooses checkpoints and thresholds on it"))
  }
}
