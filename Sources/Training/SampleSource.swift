import AttentionLattice
import Dataset
import Failures
import Images
import Storage
import Tensor

/// Where samples come from: the feature cache, or the image files themselves.
public final class SampleSource: @unchecked Sendable {
  private let experiment: Experiment
  private let cache: FeatureCache?
  /// The layers whose values a cached row holds.
  private let cachedLayers: [Int]
  private let scratch: [UnsafeMutableRawBufferPointer]
  private let pixels: [UnsafeMutableBufferPointer<UInt8>]

  /// - Parameter cache: opened and complete; nil trains live.
  public init(_ experiment: Experiment, cache: FeatureCache?) {
    self.experiment = experiment
    self.cache = cache
    cachedLayers = cache?.fingerprint.layout.layers ?? []
    let side = experiment.configuration.image.size
    let threads = experiment.team.threadCount
    scratch = (0..<threads).map { _ in
      UnsafeMutableRawBufferPointer.allocate(byteCount: max(cache?.rowBytes ?? 0, 64), alignment: 64)
    }
    pixels = (0..<threads).map { _ in UnsafeMutableBufferPointer.allocate(capacity: side * side * 3) }
  }

  deinit {
    scratch.forEach { $0.deallocate() }
    pixels.forEach { $0.deallocate() }
  }

  public var isCached: Bool { cache != nil }

  /// Which of a run's results depend on where samples come from: runs of equal text see equal samples.
  public var mode: String {
    let configuration = experiment.configuration
    guard let layout = cache?.fingerprint.layout else { return "live" }
    let hasEveryView = configuration.image.crop == nil || configuration.cache.views >= configuration.training.epochs
    if hasEveryView && layout.type == .float32 { return "live" }
    return "cached, \(configuration.cache.views) views, \(layout.type.rawValue), layers \(configuration.cache.layers)"
  }

  /// The pixels [S, S, 3] of a view, from the image's file.
  public func render(_ image: ImageEntry, view: Int) throws -> [UInt8] {
    let decoded = try decodeImage(path: experiment.dataset.path(of: image))
    return experiment.views.geometry(
      width: decoded.width, height: decoded.height, seed: experiment.configuration.run.seed, imageID: image.id,
      view: view
    ).render(decoded)
  }

  /// Loads one view into the places of a sample.
  ///
  /// - Parameters:
  ///   - thread: which scratch to use.
  ///   - patches, tail, feature: where the sample's patches, h⁽ᵐ⁻¹⁾ and fused layers belong.
  /// - Returns: what has been loaded.
  public func load(
    _ image: ImageEntry, view: Int, thread: Int, patches: Floats, tail: Floats, feature: (Int) -> Floats
  ) throws -> TrainingPass.Input {
    guard let cache else {
      let view = try render(image, view: view)
      view.withUnsafeBufferPointer { buffer in
        if let base = buffer.baseAddress { experiment.model.encoder.patchify(patches, pixels: base) }
      }
      return .pixels
    }
    guard let target = pixels[thread].baseAddress else { preconditionFailure("no room for pixels") }
    try cache.read(
      CacheRow(imageID: image.id, view: view), scratch: scratch[thread], pixels: target,
      layers: cachedLayers.map { feature($0) }, tail: tail)
    experiment.model.encoder.patchify(patches, pixels: target)
    return cachedLayers.count == experiment.model.frozenFusedLayers.count ? .features : .tail
  }
}

/// Opens the cache that the settings name, if it can be used.
///
/// - Parameter log: told why not.
public func openCache(_ experiment: Experiment, log: RunLog) throws -> FeatureCache? {
  guard let folder = experiment.configuration.cache.dir else { return nil }
  let cluster = experiment.cluster
  let cache = FeatureCache(folder: folder, fingerprint: experiment.cacheFingerprint)
  var reason: String?
  do {
    switch try cache.open(wanting: experiment.cacheRows) {
    case .complete: break
    case .absent: reason = "\(folder): there is no feature cache"
    case .stale(let differences): reason = differences
    case .incomplete(let written, let total): reason = "\(folder): \(written) of \(total) rows are written"
    }
  } catch let failure as Failure {
    reason = failure.message
  }
  guard cluster.maximum(reason == nil ? 0 : 1) > 0 else { return cache }
  if cluster.isRoot { log.warning("training live, the cache is not used: \(reason ?? "another rank cannot read it")") }
  return nil
}
