extension Configuration {
  /// Types and checks what has been read.
  ///
  /// - Parameter given: the value of every setting, by path, each within its own key's range.
  /// - Throws: `Failure` 78.
  init(_ given: [String: SettingValue]) throws {
    var values = given
    if case .crop(0, let flip)? = values["image.augment"], case .integer(let side)? = values["image.size"] {
      values["image.augment"] = .crop(resize: Int((Double(side) * 256 / 224).rounded()), flip: flip)
    }
    self.values = values
    func integer(_ path: String) -> Int { if case .integer(let value)? = values[path] { value } else { 0 } }
    func optionalInteger(_ path: String) -> Int? { if case .integer(let value)? = values[path] { value } else { nil } }
    func number(_ path: String) -> Double { if case .number(let value)? = values[path] { value } else { 0 } }
    func boolean(_ path: String) -> Bool { if case .boolean(let value)? = values[path] { value } else { false } }
    func text(_ path: String) -> String { if case .text(let value)? = values[path] { value } else { "" } }
    func optionalText(_ path: String) -> String? { if case .text(let value)? = values[path] { value } else { nil } }
    func integers(_ path: String) -> [Int] { if case .integers(let value)? = values[path] { value } else { [] } }
    func optionalIntegers(_ path: String) -> [Int]? {
      if case .integers(let value)? = values[path] { value } else { nil }
    }
    func numbers(_ path: String) -> [Double]? { if case .numbers(let value)? = values[path] { value } else { nil } }
    func texts(_ path: String) -> [String]? { if case .texts(let value)? = values[path] { value } else { nil } }

    run = Run(
      dir: text("run.dir"), seed: UInt64(integer("run.seed")), threads: optionalInteger("run.threads"),
      products: text("run.products"), patienceSeconds: number("run.patience_seconds"))
    data = Data(
      root: text("data.root"), layout: text("data.layout"), labels: optionalText("data.labels"),
      boxes: text("data.boxes"), classes: texts("data.classes"), splitSeed: UInt64(integer("data.split_seed")),
      segmentations: text("data.segmentations"), maskThreshold: integer("data.mask_threshold"),
      skipUnreadable: boolean("data.skip_unreadable"), followLinks: boolean("data.follow_links"))
    var crop: Image.Crop?
    if case .crop(let resize, let flip)? = values["image.augment"] { crop = Image.Crop(resize: resize, flip: flip) }
    image = Image(size: integer("image.size"), crop: crop)
    encoder = Encoder(
      weights: text("encoder.weights"), depth: optionalInteger("encoder.depth"),
      heads: optionalInteger("encoder.heads"), activation: text("encoder.activation"),
      precision: text("encoder.precision"), mean: numbers("encoder.mean"), std: numbers("encoder.std"))
    model = Model(kind: text("model.kind"))
    lora = LoRA(
      blocks: integers("lora.blocks"), rank: integer("lora.rank"), scale: number("lora.scale"),
      targets: texts("lora.targets") ?? [], phases: texts("lora.phases") ?? [])
    side = Side(
      width: integer("side.width"), heads: integer("side.heads"), layers: integer("side.layers"),
      fusion: integers("side.fusion"))
    attention = Attention(
      head: text("attention.head"), kernel: integer("attention.kernel"), dropout: number("attention.dropout"),
      padding: text("attention.padding"))
    perception = Perception(
      channels: integers("perception.channels"), dropout: number("perception.dropout"),
      inputNorm: text("perception.input_norm"))
    fcam = FCAM(
      classifier: optionalText("fcam.classifier"), skips: optionalIntegers("fcam.skips"),
      widths: integers("fcam.widths"), erosion: integer("fcam.erosion"), dilation: integer("fcam.dilation"),
      background: number("fcam.background"), seedWeight: number("fcam.seed_weight"),
      sizeWeight: number("fcam.size_weight"), barrierStart: number("fcam.barrier_start"),
      barrierGrowth: number("fcam.barrier_growth"), barrierMost: number("fcam.barrier_most"),
      crfWeight: number("fcam.crf_weight"), sigmaXY: number("fcam.sigma_xy"), sigmaRGB: number("fcam.sigma_rgb"))
    var poly: Double?
    if case .poly(let power)? = values["training.schedule"] { poly = power }
    training = Training(
      epochs: integer("training.epochs"), batch: integer("training.batch"), lanes: integer("training.lanes"),
      aea: boolean("training.aea"), aeaStart: text("training.aea_start"), lambda: number("training.lambda"),
      optimizer: text("training.optimizer"), lr: number("training.lr"), momentum: number("training.momentum"),
      weightDecay: number("training.weight_decay"), poly: poly,
      clip: number("training.clip"), patience: integer("training.patience"), select: text("training.select"),
      maxSkipped: integer("training.max_skipped"), injectNaNAtStep: optionalInteger("training.inject_nan_at_step"))
    let layers: Cache.Layers =
      switch values["cache.layers"] {
      case .integers(let list)?: .some(list)
      case .text("tail")?: .none
      default: .all
      }
    cache = Cache(
      dir: optionalText("cache.dir"), views: integer("cache.views"), dtype: text("cache.dtype"), layers: layers)
    checkpoint = Checkpoint(
      everyMinutes: number("checkpoint.every_minutes"), everyEpochs: integer("checkpoint.every_epochs"),
      keep: integer("checkpoint.keep"))
    evaluation = Evaluation(
      protocol: text("evaluation.protocol"), iouRule: text("evaluation.iou_rule"), steps: integer("evaluation.steps"),
      substrate: text("evaluation.substrate"), target: text("evaluation.target"))
    var settle: Double?
    if case .number(let value)? = values["rise.settle"] { settle = value }
    rise = RISE(
      masks: integer("rise.masks"), cells: integer("rise.cells"), keep: number("rise.keep"),
      absent: text("rise.absent"), settle: settle)
    var rows: [RowSetting] = []
    if case .rows(let list)? = values["table.rows"] { rows = list }
    table = Table(
      rows: rows, seeds: integers("table.seeds").map { UInt64($0) }, limit: optionalInteger("table.limit"),
      classifier: text("table.classifier"))
    try check()
    try checkTable()
  }
}
