import Networks
import Settings

/// Any method, of a model whose trained tensors are as they were before training: the randomisation test of Adebayo et
/// al., "Sanity checks for saliency maps", NeurIPS 2018. The class that is explained stays the trained model's.
public struct RandomisedModel: ExplanationMethod {
  private let method: any ExplanationMethod

  public init(_ method: any ExplanationMethod) { self.method = method }

  public var facts: MethodFacts {
    let inner = method.facts
    return MethodFacts(
      name: MethodTable.randomisedPrefix + inner.name, title: "\(inner.title), before training", source: inner.source,
      needsGradients: inner.needsGradients, isRandom: true, readsModel: false,
      version: inner.version)
  }

  public func passes(_ configuration: Configuration) -> Int { 1 + method.passes(configuration) }

  public func settings(_ configuration: Configuration) -> [String: String] { method.settings(configuration) }

  public func check(_ network: any Network) throws { try method.check(network) }

  public func prepare(_ subject: ExplainedModel) throws -> @Sendable (any NetworkInference) -> any MapWorker {
    let network = try subject.makeAnother()
    network.parameters.initialise(seed: subject.configuration.run.seed)
    return try MethodOfAnother(method, network).prepare(subject)
  }
}

/// A method's maps of another network than the one that predicts; the class that is explained stays the latter's.
struct MethodOfAnother: ExplanationMethod {
  private let method: any ExplanationMethod
  private let network: any Network

  init(_ method: any ExplanationMethod, _ network: any Network) {
    self.method = method
    self.network = network
  }

  var facts: MethodFacts { method.facts }

  func passes(_ configuration: Configuration) -> Int { 1 + method.passes(configuration) }

  func settings(_ configuration: Configuration) -> [String: String] { method.settings(configuration) }

  func prepare(_ subject: ExplainedModel) throws -> @Sendable (any NetworkInference) -> any MapWorker {
    let network = network
    let makeWorker = try method.prepare(
      ExplainedModel(network, subject.configuration, makeAnother: subject.makeAnother))
    return { _ in
      let inference = network.makeInference()
      // One serves both: a prediction is taken out of it before the worker begins.
      let worker = makeWorker(inference)
      if let partwise = worker as? any PartwiseWorker { return Parts(inference, network, partwise) }
      return Whole(inference, network, worker)
    }
  }

  private class Whole: MapWorker {
    private let inference: any NetworkInference
    private let network: any Network
    private let worker: any MapWorker

    init(_ inference: any NetworkInference, _ network: any Network, _ worker: any MapWorker) {
      self.inference = inference
      self.network = network
      self.worker = worker
    }

    var side: Int { worker.side }

    func map(_ view: ExplainedView, target: Int) -> ExplanationMap { worker.map(seen(view), target: target) }

    /// The view with what the other network makes of it.
    func seen(_ view: ExplainedView) -> ExplainedView {
      inference.run(pixels: view.pixels, network.encoder)
      return ExplainedView(
        imageID: view.imageID, pixels: view.pixels, prediction: Prediction(inference, mapSide: network.mapSide))
    }
  }

  private final class Parts: Whole, PartwiseWorker {
    private let partwise: any PartwiseWorker

    init(_ inference: any NetworkInference, _ network: any Network, _ partwise: any PartwiseWorker) {
      self.partwise = partwise
      super.init(inference, network, partwise)
    }

    var mostParts: Int { partwise.mostParts }

    func partsWanted(after done: [[Float]], of view: ExplainedView) -> Int {
      partwise.partsWanted(after: done, of: view)
    }

    func part(_ index: Int, of view: ExplainedView, target: Int) -> [Float] {
      partwise.part(index, of: seen(view), target: target)
    }

    func merge(_ parts: [[Float]], of view: ExplainedView, target: Int) -> ExplanationMap {
      partwise.merge(parts, of: seen(view), target: target)
    }

    override func map(_ view: ExplainedView, target: Int) -> ExplanationMap { partwise.map(seen(view), target: target) }
  }
}
