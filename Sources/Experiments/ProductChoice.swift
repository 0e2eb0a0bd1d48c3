import Cluster
import Failures
import Machine
import Tensor

extension ProductLibrary {
  /// What `run.products` names; of `auto` what the table says of this processor.
  ///
  /// - Throws: `Failure` 78 where this program is not linked with it.
  public init(setting: String) throws {
    guard let named = ProductLibrary(rawValue: setting) else {
      self = .automatic(vendor: Processor.current.vendor, oneDNN: .linked)
      return
    }
    try named.requireLinked("run.products is \(named.rawValue)")
    self = named
  }

  /// The same for all ranks, which agree on it: `auto` takes what a run goes on with, else oneDNN where the table says
  /// so of every rank's processor.
  ///
  /// - Parameter resumed: what the checkpoint was made with that the run goes on from.
  /// - Throws: `Failure` 78 where a rank is not linked with it, where the setting names another than the run's, and
  ///   where ranks' versions or instructions differ.
  init(setting: String, resumed: ProductLibrary?, on cluster: Cluster) throws {
    let own = try cluster.agree {
      let named = ProductLibrary(rawValue: setting)
      if let named, let resumed, named != resumed {
        throw Failure.badConfiguration(
          "run.products is \(named.rawValue), the run has \(resumed.rawValue): it cannot be resumed under settings that "
            + "change the result; auto goes on with the run's")
      }
      guard named == nil, let resumed else { return try ProductLibrary(setting: setting) }
      try resumed.requireLinked("the run that goes on has its products by \(resumed.rawValue) (run.products)")
      return resumed
    }
    self = cluster.sum(own == .onednn ? 1 : 0) == cluster.size ? .onednn : .openblas
    if self == .onednn { try cluster.requireAlike([("oneDNN", description)]) }
  }
}
