import AttentionBranchNetwork
import AttentionLattice
import Branches
import ClassActivation
import Encoder
import FCAM
import Failures
import Layers
import Networks
import Settings
import Tensor

/// The networks that `model.kind` names.
public enum NetworkKind: String, CaseIterable, Sendable {
  /// The paper's: LoRA, side branch, attention and perception branch.
  case lattice
  /// Attention branch network on the frozen encoder.
  case abn
  /// The classifier of class activation maps.
  case cam
  /// F-CAM's decoder, on a trained classifier of class activation maps.
  case fcam
}

/// The encoder that settings describe; only the lattice has LoRA.
public func encoderOptions(_ configuration: Configuration) -> EncoderOptions {
  let encoder = configuration.encoder
  let isLattice = configuration.model.kind == NetworkKind.lattice.rawValue
  return EncoderOptions(
    weights: encoder.weights, imageSide: configuration.image.size, depth: encoder.depth, heads: encoder.heads,
    activation: Activation(rawValue: encoder.activation), mean: encoder.mean?.map { Float($0) },
    standardDeviation: encoder.std?.map { Float($0) }, loraBlocks: isLattice ? configuration.lora.blocks : [],
    loraRank: configuration.lora.rank, loraScale: Float(configuration.lora.scale),
    loraTargets: configuration.lora.targets, precision: Precision(setting: encoder.precision))
}

/// The network that settings describe, whose trained tensors have no values yet.
///
/// - Parameters:
///   - file: loaded with `encoderOptions`.
///   - training: whether gradients and moments are needed.
/// - Throws: `Failure` 78 for settings that do not fit the encoder or each other.
public func makeNetwork(
  _ configuration: Configuration, classes: Int, on file: EncoderFile, training: Bool
) throws -> any Network {
  guard classes >= 1 else { throw Failure.badConfiguration("the data set has no classes") }
  do {
    return try network(configuration, classes: classes, on: file, training: training)
  } catch let excess as ParametersBeyondMemory {
    throw configuration.excess([
      MemoryNeed(
        sizingKey(of: excess.group), "the trained tensors, \(excess.largest) \(excess.shape) the largest of them,",
        bytes: excess.bytes)
    ]) ?? Failure.internalError("the trained tensors have no room")
  }
}

/// The setting by which a group's tensors grow.
private func sizingKey(of group: ParameterGroup) -> String {
  switch group.name {
  case "lora": "lora.rank"
  case "side": "side.width"
  case "perception": "perception.channels"
  case "decoder": "fcam.widths"
  default: "data.classes"
  }
}

private func network(
  _ configuration: Configuration, classes: Int, on file: EncoderFile, training: Bool
) throws -> any Network {
  switch NetworkKind(setting: configuration.model.kind) {
  case .lattice: return try LatticeModel(latticeOptions(configuration, classes: classes), on: file, training: training)
  case .abn:
    var options = AttentionBranchOptions(classes: classes)
    options.attention = attentionOptions(configuration)
    options.perception = perceptionOptions(configuration)
    options.lambda = configuration.training.lambda
    options.lanes = configuration.training.lanes
    return try AttentionBranchModel(options, encoderOptions(configuration), on: file, training: training)
  case .cam:
    return try ClassActivationModel(
      classes: classes, lanes: configuration.training.lanes, encoderOptions(configuration), on: file,
      training: training)
  case .fcam:
    return try FCAMModel(
      fcamOptions(configuration), classifier: try explainedClassifier(configuration, classes: classes, on: file),
      encoderOptions(configuration), on: file, training: training)
  }
}

/// All that shapes a network's inference, as text.
public func settingsOfNetwork(_ configuration: Configuration) -> String {
  "\((configuration.model, configuration.image.size, configuration.encoder, configuration.lora, configuration.side))"
    + "\((configuration.attention, configuration.perception, configuration.fcam))"
}

private func latticeOptions(_ configuration: Configuration, classes: Int) -> ModelOptions {
  var options = ModelOptions(encoder: encoderOptions(configuration), classes: classes)
  options.side.width = configuration.side.width
  options.side.heads = configuration.side.heads
  options.side.layers = configuration.side.layers
  options.side.fusion = configuration.side.fusion
  options.attention = attentionOptions(configuration)
  options.perception = perceptionOptions(configuration)
  options.lambda = configuration.training.lambda
  options.lanes = configuration.training.lanes
  options.loraPhases = Set([Phase.alpha, .ones].filter { configuration.lora.phases.contains($0.name) })
  options.alternates = configuration.training.aea
  options.firstPhase = configuration.training.aeaStart == Phase.ones.name ? .ones : .alpha
  return options
}

private func fcamOptions(_ configuration: Configuration) -> FCAMOptions {
  let fcam = configuration.fcam
  var options = FCAMOptions()
  options.skips = fcam.skips ?? Set(configuration.side.fusion).sorted(by: >)
  options.widths = fcam.widths
  (options.erosion, options.dilation, options.backgroundShare) = (fcam.erosion, fcam.dilation, fcam.background)
  (options.seedWeight, options.sizeWeight, options.crfWeight) = (fcam.seedWeight, fcam.sizeWeight, fcam.crfWeight)
  (options.sigmaXY, options.sigmaRGB) = (fcam.sigmaXY, fcam.sigmaRGB)
  (options.barrier.start, options.barrier.growth, options.barrier.most) = (
    fcam.barrierStart, fcam.barrierGrowth, fcam.barrierMost
  )
  options.seed = configuration.run.seed
  options.epochs = configuration.training.epochs
  options.lanes = configuration.training.lanes
  return options
}

private func attentionOptions(_ configuration: Configuration) -> AttentionOptions {
  var options = AttentionOptions()
  options.head = AttentionOptions.Head(setting: configuration.attention.head)
  options.kernel = configuration.attention.kernel
  options.dropout = configuration.attention.dropout
  options.padding = Padding(setting: configuration.attention.padding)
  return options
}

private func perceptionOptions(_ configuration: Configuration) -> PerceptionOptions {
  var options = PerceptionOptions()
  options.channels = configuration.perception.channels
  options.dropout = configuration.perception.dropout
  options.inputNorm = PerceptionOptions.InputNorm(setting: configuration.perception.inputNorm)
  return options
}
