import Encoder
import Failures
import Layers
import Networks

/// The cascade of parameter randomisation (Adebayo et al., "Sanity Checks for Saliency Maps", NeurIPS 2018): a copy of
/// the model loses its training part by part, from the top: the network's own parts, then the encoder's blocks from the
/// last to the first. An explanation of the model changes on the way.
public final class RandomisationCascade {
  /// Its stages' names, in their order.
  public let stages: [String]
  private let method: any ExplanationMethod
  private let network: any Network
  private let parts: [NetworkPart]
  private let seed: UInt64
  private var done = 0

  /// Copies the model. Call on every rank.
  public init(_ method: any ExplanationMethod, of subject: ExplainedModel) throws {
    self.method = method
    network = try subject.makeAnother()
    network.parameters.copyValues(of: subject.network.parameters)
    seed = subject.configuration.run.seed
    let blocks = (1...network.encoder.depth).reversed().map {
      NetworkPart("block_\($0)", prefix: "encoder.blocks.\($0).")
    }
    parts = network.parts + blocks
    stages = parts.map(\.name)
  }

  /// Takes the training out of the next part. Call on every rank, while no worker of an earlier stage works.
  ///
  /// - Parameter share: makes the memory of a block's values; see `EncoderFile`.
  /// - Returns: the method of the copy as it is now.
  public func advance(share: EncoderFile.Share?) throws -> any ExplanationMethod {
    let part = parts[done]
    network.parameters.initialise(seed: seed, stream: "cascade") { $0.hasPrefix(part.prefix) }
    let block = done - network.parts.count
    if block >= 0 { try network.encoder.randomise(block: network.encoder.depth - block, seed: seed, share: share) }
    done += 1
    return MethodOfAnother(method, network)
  }
}
