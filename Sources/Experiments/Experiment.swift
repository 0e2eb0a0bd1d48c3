import Cluster
import Dataset
import Digests
import Encoder
import Failures
import Foundation
import Images
import Layers
import Networks
import Machine
import Safetensors
import Settings
import Storage
import Tensor

/// What the settings resolve to: data set, split, views, model, and the digests that identify them.
public final class Experiment: @unchecked Sendable {
  public let configuration: Configuration
  public let cluster: Cluster
  public let dataset: ImageDataset
  public let split: Split
  public let views: ViewDefinition
  public let model: any Network
  public let encoderSHA256: String
  public let team: ThreadTeam
  /// What makes the products in float32.
  public let products: ProductLibrary
  private let threadRemark: String?
  /// Where the frozen blocks' products are in bfloat16: by what.
  public let bfloat16: BFloat16Support?

  /// Reads the data set, maps the encoder, builds the model. Every rank fails alike.
  ///
  /// - Parameters:
  ///   - training: whether gradients and moments are needed.
  ///   - resumed: the library of the run that goes on.
  public init(
    _ configuration: Configuration, cluster: Cluster, training: Bool, resumed: ProductLibrary? = nil
  ) throws {
    self.configuration = configuration
    self.cluster = cluster
    if configuration.encoder.precision == Precision.bfloat16.rawValue {
      bfloat16 = try cluster.agree { try BFloat16Support.current() }
    } else {
      bfloat16 = nil
    }
    let products = try ProductLibrary(setting: configuration.run.products, resumed: resumed, on: cluster)
    self.products = products
    // Every rank asks, also one that has the setting: it may be in the environment of some alone.
    let fair = cluster.threadShare()
    threadRemark = configuration.run.threads == nil ? fair.remark : nil
    let threads = configuration.run.threads ?? fair.threads
    // A damaged row of the cache is made anew by a thread beside the team's.
    let multiplying = threads + (configuration.cache.dir == nil ? 0 : 1)
    try cluster.agree {
      try secureProducts(by: products, threads: multiplying, limit: MemoryLimit.ofAddressSpace()?.description)
    }
    let team = ThreadTeam(threads: threads)
    self.team = team
    let data = configuration.data
    let (dataset, split) = try cluster.agree {
      try requireThere(data.root, "data.root", "there is no such folder")
      let dataset = try ImageDataset(DatasetOptions(data))
      return (dataset, try Split(dataset, seed: data.splitSeed))
    }
    self.dataset = dataset
    self.split = split
    views = ViewDefinition(
      side: configuration.image.size,
      augmentation: configuration.image.crop.map { .randomCrop(resize: $0.resize, flip: $0.flip) } ?? .none)
    let encoderSHA256 = try cluster.agree {
      try requireThere(configuration.encoder.weights, "encoder.weights", "is missing")
      return try SafetensorsFile.sha256(path: configuration.encoder.weights)
    }
    self.encoderSHA256 = encoderSHA256
    try cluster.requireAlike([
      ("the sha256 of encoder.weights", encoderSHA256), ("the digest of data.root", dataset.digest),
      ("what data.root says of its images", dataset.annotationDigest),
      ("the digest of data.segmentations", Self.maskDigest(dataset)),
    ])
    let options = encoderOptions(configuration)
    let share: EncoderFile.Share = { try cluster.sharedMemory($0, fill: $1) }
    let startsFromCache = training && configuration.cache.dir != nil
    let encoder = try cluster.agree {
      try EncoderFile(options, share: cluster.size > 1 ? share : nil, runsFrozenBlocks: !startsFromCache)
    }
    try cluster.requireAlike([("what describes encoder.weights beside them", encoder.choices)])
    let classes = dataset.classes.count
    model = try cluster.agree { try makeNetwork(configuration, classes: classes, on: encoder, training: training) }
    try cluster.requireAlike([("model_sha256 of fcam.classifier", model.explains ?? "")])
    try cluster.share(configuration.excess(memoryNeeds(isTraining: training)))
    try checkCachedLayers()
    try cluster.agree { try checkExplainedClasses() }
  }

  /// Refuses a classifier of other classes than the data's, which its decoder would explain.
  private func checkExplainedClasses() throws {
    guard model.explains != nil, let given = configuration.fcam.classifier else { return }
    let path = checkpointPath(given)
    try checkClasses(try storedAttributes(path)["classes"], self, path: "fcam.classifier \(path)")
  }

  /// Another model of the same settings on the same frozen encoder, whose trained tensors have no values yet.
  public func makeModel() throws -> any Network {
    try makeNetwork(configuration, classes: dataset.classes.count, on: model.encoder.file, training: false)
  }

  /// Of which images have masks, and of the masks' sizes in bytes.
  public var maskDigest: String { Self.maskDigest(dataset) }

  private static func maskDigest(_ dataset: ImageDataset) -> String {
    let hash = SHA256()
    for image in dataset.images {
      var status = stat()
      guard case .file(let path) = dataset.mask(of: image), stat(path, &status) == 0 else { continue }
      hash.update("\(image.id)\t\(status.st_size)\n")
    }
    return hash.finish()
  }

  /// What makes the products: part of fingerprints, for bits differ between kernels.
  public var productKernels: [(key: String, value: String)] {
    [("blas_kernel", blasKernel())] + (products == .onednn ? [("onednn_kernel", products.description)] : [])
      + (bfloat16.map { [("bfloat16_kernel", $0.description)] } ?? [])
  }

  /// Says once what of the data set is left out or odd.
  ///
  /// - Parameter training: whether it matters what a model can learn of it.
  public func describeData(_ log: RunLog, training: Bool = false) {
    for (id, reason) in dataset.unreadable { log.warning("image \(id) is left out: \(reason)") }
    for remark in dataset.remarks { log.warning(remark) }
    for remark in training ? dataset.trainingRemarks(split) : [] { log.warning(remark) }
  }

  /// Says once what products are made by, how the encoder's file was understood, and what the machine did not allow.
  public func describeMeans(_ log: RunLog) {
    log.info("products by \(products.description) (run.products: \(configuration.run.products))")
    for note in model.encoder.notes { log.info("encoder: \(note)") }
    for remark in cluster.remarks { log.warningOfRank(remark) }
    if let threadRemark { log.warning(threadRemark) }
    guard let bfloat16 else { return }
    let last = model.encoder.firstLoRABlock - 1
    log.info("encoder.precision bfloat16: products of blocks 1 to \(last) by \(bfloat16.description)")
    if last == 0 { log.warning("encoder.precision has no effect: no block lies below the first with LoRA") }
    if let reason = bfloat16.reasonToBeSlower(vendor: Processor.current.vendor) {
      log.warning("encoder.precision bfloat16 is right here, but slower than float32: \(reason)")
    }
  }

  /// An image of the data set by its id.
  public func image(_ id: Int) throws -> ImageEntry {
    guard let image = dataset.image(id) else { throw Failure.internalError("image \(id) is not in the data set") }
    return image
  }

  /// The phase of an epoch.
  public func phase(epoch: Int) -> Phase { model.phase(epoch: epoch) }

  /// Steps of an epoch: the last batch may be short, none is dropped.
  public var stepsPerEpoch: Int {
    (split.train.count + configuration.training.batch - 1) / configuration.training.batch
  }

  /// The learning rate of the update with the given global step, from 0 (docs/model.md, "Update").
  public func learningRate(step: Int) -> Double {
    let training = configuration.training
    guard let power = training.poly else { return training.lr }
    let total = training.epochs * stepsPerEpoch
    return training.lr * pow(1 - Double(step) / Double(total), power)
  }

  // MARK: Cache

  /// - Parameter isReading: asks for what this network reads, which a shared cache may hold among other layers; else
  ///   for what `cache.layers` says.
  public func cacheFingerprint(isReading: Bool) -> CacheFingerprint {
    let encoder = model.encoder
    func list(_ values: [Float]) -> String { values.map { "\($0)" }.joined(separator: ",") }
    // Caches from before there were choices say nothing, and are float32 by OpenBLAS.
    let precision = bfloat16 == nil ? "" : ",\"precision\":\"bfloat16\""
    let library = products == .openblas ? "" : ",\"products\":\"\(products.rawValue)\""
    return CacheFingerprint(
      encoderSHA256: encoderSHA256,
      encoderSettings:
        "\(encoder.file.choices.dropLast()),\"mean\":[\(list(encoder.mean))],\"std\":[\(list(encoder.standardDeviation))]\(precision)\(library)}",
      viewDefinition: views.json(seed: configuration.run.seed), datasetSHA256: dataset.digest,
      firstLoRABlock: encoder.firstLoRABlock, isShared: configuration.cache.layers.isShared && !isReading,
      layout: CacheLayout(
        side: configuration.image.size, tokens: encoder.patchCount, width: encoder.width,
        layers: isReading && configuration.cache.layers.isShared ? model.frozenLayers : cachedLayers,
        type: HDF5Type(setting: configuration.cache.dtype)))
  }

  /// The layers that a cache holds beside h⁽ᵐ⁻¹⁾.
  private var cachedLayers: [Int] {
    switch configuration.cache.layers {
    case .all: model.frozenLayers
    case .none: []
    case .some(let layers): layers.sorted()
    }
  }

  private func checkCachedLayers() throws {
    guard case .some(let layers) = configuration.cache.layers else { return }
    let last = model.encoder.firstLoRABlock - 1
    guard let wrong = layers.first(where: { $0 > last }) else { return }
    throw Failure.badConfiguration(
      "cache.layers names layer \(wrong); frozen are the layers 0 to \(last), below the first block with LoRA (lora.blocks)"
    )
  }

  /// Makes what a cache holds, for one image at a time.
  public func makeExtractor(_ cache: CacheFingerprint) -> FeatureExtractor {
    FeatureExtractor(model.encoder, layers: cache.layout.layers, firstLoRABlock: cache.firstLoRABlock)
  }

  private var cachedViews: Int { configuration.image.crop == nil ? 1 : configuration.cache.views }

  /// 0 without a cache.
  var cachedRowCount: Int {
    configuration.cache.dir == nil ? 0 : split.train.count * cachedViews + split.valid.count + split.test.count
  }

  /// Every row of a whole cache: the views of the training images, then the evaluation view of all others.
  public var cacheRows: [CacheRow] {
    let views = cachedViews
    let training = split.train.flatMap { id in (0..<views).map { CacheRow(imageID: id, view: $0) } }
    return training + (split.valid + split.test).map { CacheRow(imageID: $0, view: ViewDefinition.evaluationView) }
  }

  /// Which view of its images an epoch shows, live or from a cache of `views` views.
  public func view(epoch: Int, isCached: Bool) -> Int {
    let view = epoch - 1
    guard isCached else { return view }
    return view % (configuration.image.crop == nil ? 1 : configuration.cache.views)
  }
}
