import Dataset
import Failures
import Images
import Networks
import Storage
import Tensor

/// One view of one image; view −1 is the evaluation view.
public struct SampleRequest: Equatable, Sendable {
  public let imageID: Int
  public let view: Int

  public init(imageID: Int, view: Int) {
    self.imageID = imageID
    self.view = view
  }
}

/// Room for what has been read of one sample: a cached row as it lies in the file, or the pixels [S, S, 3] of a view.
public final class SampleRow: @unchecked Sendable {
  public internal(set) var request = SampleRequest(imageID: 0, view: 0)
  /// The request's place in their order, from 0.
  public internal(set) var number = 0
  /// Why it could not be read.
  public internal(set) var failure: Failure?
  let bytes: UnsafeMutableRawBufferPointer

  init(byteCount: Int) { bytes = .allocate(byteCount: max(byteCount, 64), alignment: 64) }

  deinit { bytes.deallocate() }

  /// The pixels of the view, before normalisation.
  public var pixels: UnsafePointer<UInt8> {
    guard let base = bytes.baseAddress else { preconditionFailure("a row has no room") }
    return UnsafePointer(base.assumingMemoryBound(to: UInt8.self))
  }
}

/// Where samples come from: the feature cache, or the image files themselves.
public final class SampleSource: @unchecked Sendable {
  private let experiment: Experiment
  private let cache: FeatureCache?
  private let repair: RowRepair?
  /// The layers whose values a cached row holds, and that of its tail.
  private let cachedLayers: [Int]
  private let tailLayer: Int
  /// Of the cached layers, those that the network keeps.
  private let keptLayers: Set<Int>
  /// Whether the cache holds all that the network reads below the tail.
  private let hasLayers: Bool
  private let pixelCount: Int

  /// - Parameters:
  ///   - cache: opened and complete; nil trains live.
  ///   - log: told of the cache's damaged rows, each once.
  public init(_ experiment: Experiment, cache: FeatureCache?, log: RunLog? = nil) {
    self.experiment = experiment
    self.cache = cache
    repair = cache.map { RowRepair(experiment, cache: $0, log: log) }
    let network = experiment.model
    let cached = cache?.fingerprint.layout.layers ?? []
    let tail = (cache?.fingerprint.firstLoRABlock ?? network.encoder.firstLoRABlock) - 1
    cachedLayers = cached
    tailLayer = tail
    keptLayers = Set(network.frozenLayers)
    hasLayers = Set(cached).isSuperset(of: network.frozenLayers.filter { $0 < tail })
    let side = experiment.configuration.image.size
    pixelCount = side * side * 3
  }

  public var isCached: Bool { cache != nil }

  /// Which of a run's results depend on where samples come from: runs of equal text see equal samples.
  public var mode: String {
    let configuration = experiment.configuration
    guard let layout = cache?.fingerprint.layout else { return "live" }
    let hasEveryView = configuration.image.crop == nil || configuration.cache.views >= configuration.training.epochs
    if hasEveryView && layout.type == .float32 { return "live" }
    let tail = tailLayer == experiment.model.encoder.firstLoRABlock - 1 ? "" : ", from layer \(tailLayer)"
    return
      "cached, \(configuration.cache.views) views, \(layout.type.rawValue), layers \(hasLayers ? "all" : "tail")\(tail)"
  }

  /// The pixels [S, S, 3] of a view, from the image's file.
  public func render(_ image: ImageEntry, view: Int) throws -> [UInt8] {
    let path = experiment.dataset.path(of: image)
    let read = Result { try decodeImage(path: path) }
    try experiment.dataset.checkUnchanged(path)
    let decoded = try read.get()
    return experiment.views.geometry(
      width: decoded.width, height: decoded.height, seed: experiment.configuration.run.seed, imageID: image.id,
      view: view
    ).render(decoded)
  }

  /// The evaluation view of an image.
  public func evaluationView(of image: ImageEntry) throws -> RGBImage {
    let side = experiment.configuration.image.size
    return RGBImage(width: side, height: side, pixels: try render(image, view: ViewDefinition.evaluationView))
  }

  func makeRow() -> SampleRow { SampleRow(byteCount: cache?.rowBytes ?? pixelCount) }

  /// Reads a sample: its cached row, checked, and made anew where it is damaged, or its view, decoded and rendered.
  /// Safe from several threads, each with a row of its own.
  ///
  /// - Throws: `Failure` 65 for an image, 66 for an image or a shard, naming it.
  func read(_ request: SampleRequest, into row: SampleRow) throws {
    guard let cache, let repair else {
      row.bytes.copyBytes(from: try render(request))
      return
    }
    let key = CacheRow(imageID: request.imageID, view: request.view)
    do {
      try cache.read(key, into: row.bytes)
    } catch let damage as Failure where damage.code == .badData {
      try repair.remake(key, pixels: try render(request), into: row.bytes, damage: damage)
    }
  }

  private func render(_ request: SampleRequest) throws -> [UInt8] {
    try render(try experiment.image(request.imageID), view: request.view)
  }

  /// Puts a sample that has been read into its places in the model's memory.
  ///
  /// - Parameter patches, tail, feature: where the sample's patches, h⁽ᵐ⁻¹⁾ and fused layers belong.
  /// - Returns: what has been put there.
  public func deliver(
    _ row: SampleRow, patches: Floats, tail: Floats, feature: (Int) -> Floats
  ) -> SampleInput {
    experiment.model.encoder.patchify(patches, pixels: row.pixels)
    guard let cache else { return .pixels }
    cache.unpack(row.pixels, layers: cachedLayers.map { keptLayers.contains($0) ? feature($0) : nil }, tail: tail)
    return hasLayers ? .features(tail: tailLayer) : .tail(layer: tailLayer)
  }
}

/// Opens the cache that the settings name, if it can be used.
///
/// - Parameter log: told why not.
/// - Throws: `Failure` 69 where a lock, the machine or a limit keeps a rank from looking at it: how the run goes on does not
///   hang on that.
public func openCache(_ experiment: Experiment, log: RunLog) throws -> FeatureCache? {
  guard let folder = experiment.configuration.cache.dir else { return nil }
  let cluster = experiment.cluster
  let cache = FeatureCache(folder: folder, fingerprint: experiment.cacheFingerprint(isReading: true))
  let reason = try cluster.agree { () -> String? in
    do {
      switch try cache.open(wanting: experiment.cacheRows) {
      case .complete: return nil
      case .absent: return "\(folder): there is no feature cache"
      case .stale(let differences): return differences
      case .incomplete(let written, let total):
        return "\(folder): \(written) of \(total) rows are written (`ala cache` makes the others)"
      }
    } catch let failure as Failure where failure.code != .unavailable {
      return failure.message + (failure.code == .badData ? " (`ala cache` mends it)" : "")
    }
  }
  guard cluster.maximum(reason == nil ? 0 : 1) > 0 else { return cache }
  log.warning("training live, the cache is not used: \(reason ?? "another rank cannot read it")")
  return nil
}
