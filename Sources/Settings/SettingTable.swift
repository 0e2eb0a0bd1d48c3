/// Every setting of `ala`, in the order in which it is printed.
public enum SettingTable {
  /// Products of two such numbers are numbers still.
  private static let positive = 1..<(1 << 31)
  private static let seeds = 0..<Int.max
  private static let share = 0.0...0.999_999

  public static let keys: [SettingKey] = [
    SettingKey("run.dir", .path, .text("runs/ala"), "the run's folder", mayDiffer: true),
    SettingKey("run.seed", .integer(seeds), .integer(0), "seed of everything random but the split"),
    SettingKey(
      "run.threads", .optionalInteger(1..<1025), .null,
      "threads of a process; null: the processors it may use, shared with the ranks of its machine", mayDiffer: true),

    SettingKey(
      "run.products", .choice(["auto", "openblas", "onednn"]), .text("auto"),
      "the library of the products in float32; auto: by a table of processors (docs/products.md), and of a run that goes "
        + "on its own; onednn needs a build with oneDNN",
      mayDiffer: true),
    SettingKey(
      "run.patience_seconds", .number(1...1e7), .number(300),
      "a rank that is silent for so long, or ranks that do not get on, end the job with 69; at the start four times as "
        + "long, and always at least ten steps",
      mayDiffer: true),

    SettingKey(
      "data.root", .path, .text("data/CUB_200_2011"),
      "the data set's folder; in layout folders also a CSV of path,label[,split]", mayDiffer: true),
    SettingKey(
      "data.layout", .choice(["cub", "folders"]), .text("cub"),
      "cub: CUB-200-2011's; folders: a folder for each class, or what else ala import takes (docs/own-data.md)",
      mayDiffer: true),
    SettingKey(
      "data.labels", .optionalPath, .null,
      "of layout folders: a CSV of path,label[,split]; null: one in the folder, if there", mayDiffer: true),
    SettingKey(
      "data.boxes", .path, .text("auto"),
      "of layout folders: boxes, a CSV or COCO's JSON; auto: those in the folder, if there; none: no boxes",
      mayDiffer: true),
    SettingKey("data.classes", .allOrList, .text("all"), "the classes to use"),
    SettingKey("data.split_seed", .integer(seeds), .integer(0), "seed of the split into training and validation"),
    SettingKey(
      "data.segmentations", .path, .text("auto"),
      "folder of masks; auto: segmentations/ beside the images, if there, and in layout folders also other places; none: "
        + "no masks",
      mayDiffer: true),
    SettingKey(
      "data.mask_threshold", .integer(0..<255), .integer(127),
      "foreground of a mask are the levels above it, of 255; palette files go by index (docs/formats.md)"),
    SettingKey(
      "data.skip_unreadable", .boolean, .boolean(false),
      "leave out unreadable images, and masks that are unreadable or not of their image's size, and list them, instead "
        + "of refusing; in layout folders also what else ala import would refuse"),
    SettingKey(
      "data.follow_links", .boolean, .boolean(false),
      "use images that lie outside images/ (in layout folders, outside data.root) by symbolic links, of their own or of "
        + "their folders", mayDiffer: true),

    SettingKey("image.size", .integer(8..<4097), .integer(224), "S, the side of a view in pixels"),
    SettingKey(
      "image.augment", .augmentation, .crop(resize: 0, flip: 0.5),
      "training views; resize is the shorter side in pixels, by default round(S·256/224)"),

    SettingKey(
      "encoder.weights", .path, .text("clip-vit-b16.safetensors"),
      "the frozen encoder, a safetensors file, or the index of a sharded one",
      mayDiffer: true),
    SettingKey("encoder.depth", .allOrInteger, .text("all"), "k, how many blocks are run"),
    SettingKey(
      "encoder.heads", .optionalInteger(1..<1025), .null,
      "attention heads; null: by a configuration beside the weights, else those published of that width"),
    SettingKey(
      "encoder.activation", .choice(["auto", "quickgelu", "gelu"]), .text("auto"),
      "auto: by a configuration beside the weights, else quickgelu for both CLIP spellings, gelu for timm"),
    SettingKey(
      "encoder.precision", .choice(["float32", "bfloat16"]), .text("float32"),
      "of the products of the blocks below the first with LoRA; bfloat16 needs a build with oneDNN"),
    SettingKey("encoder.mean", .optionalTriple, .null, "of the pixels in [0, 1]; null: by the file's spelling"),
    SettingKey("encoder.std", .optionalTriple, .null, "of the pixels in [0, 1]; null: by the file's spelling"),

    SettingKey(
      "model.kind", .choice(["lattice", "abn", "cam", "fcam"]), .text("lattice"),
      "the network that is trained: the paper's, or a baseline's on the frozen encoder (docs/model.md); lora and side are "
        + "the lattice's alone"),

    SettingKey("lora.blocks", .integers(1..<1025), .integers([10]), "blocks with LoRA, from 1; [] is ablation (i)"),
    SettingKey("lora.rank", .integer(1..<4097), .integer(16), "r"),
    SettingKey("lora.scale", .number(-1e6...1e6), .number(1), "s"),
    SettingKey(
      "lora.targets", .choices(["q", "k", "v", "out", "fc1", "fc2"]), .texts(["q", "k", "v", "out", "fc1", "fc2"]),
      "the linear maps that LoRA updates"),
    SettingKey(
      "lora.phases", .choices(["alpha", "ones"]), .texts(["alpha", "ones"]),
      "the phases whose epochs train LoRA; in the others it stays as it is"),

    SettingKey("side.width", .integer(1..<65537), .integer(240), "d"),
    SettingKey("side.heads", .integer(1..<1025), .integer(6), "attention heads of the side branch"),
    SettingKey("side.layers", .integer(1..<257), .integer(8), "l"),
    SettingKey(
      "side.fusion", .fusion, .integers([0, 1, 2, 3]),
      "the encoder layers that are added before side layer 1, 2, …; san is [0, 3, 6, 9]; [] is ablation (ii)"),

    SettingKey("attention.head", .choice(["abn", "minmax"]), .text("abn"), "how α is made of the class-wise maps"),
    SettingKey("attention.kernel", .integer(1..<4), .integer(3), "1 or 3, of head abn's C→1 convolution"),
    SettingKey("attention.dropout", .number(share), .number(0), "share of the map dropped while training"),
    SettingKey(
      "attention.padding", .choice(["zeros", "replicate"]), .text("zeros"), "of this branch's 3×3 convolutions"),

    SettingKey("perception.channels", .integers(1..<65537), .integers([256, 128]), "of the stages"),
    SettingKey("perception.dropout", .number(share), .number(0), "before the classifier, while training"),
    SettingKey("perception.input_norm", .choice(["none", "layernorm"]), .text("none"), "of h⁽ᵏ⁾ before the product"),

    SettingKey(
      "fcam.classifier", .optionalPath, .null,
      "the trained classifier that F-CAM's decoder explains: a checkpoint or run of model.kind cam, or a file of its "
        + "weights",
      mayDiffer: true),
    SettingKey(
      "fcam.skips", .optionalIntegers(0..<1025), .null,
      "the layers that are skipped to the decoder's stages: stage i of n, from 0, takes entry i·entries/n, rounded down; "
        + "null: those of side.fusion, deepest first; [] none"),
    SettingKey(
      "fcam.widths", .integers(1..<65537), .integers([256, 128, 64, 32]),
      "channels of the decoder's stages, from the coarsest, as many as there are; then each half of the one before"),
    SettingKey("fcam.erosion", .integer(1..<4097), .integer(11), "side of what the seeds' region is eroded by; odd"),
    SettingKey("fcam.dilation", .integer(1..<64), .integer(3), "side of a seed; odd"),
    SettingKey(
      "fcam.background", .number(0...1), .number(0.1), "share of the pixels, the lowest, that background seeds are of"),
    SettingKey("fcam.seed_weight", .number(0...1e6), .number(1), "weight of the seeds' cross-entropy"),
    SettingKey("fcam.size_weight", .number(0...1e6), .number(0.1), "weight of the areas' barrier"),
    SettingKey("fcam.barrier_start", .number(1e-3...1e6), .number(1), "the barrier's t in epoch 1"),
    SettingKey("fcam.barrier_growth", .number(1...1e3), .number(1.01), "what t is multiplied by each epoch"),
    SettingKey("fcam.barrier_most", .number(1e-3...1e6), .number(10), "the most of t"),
    SettingKey("fcam.crf_weight", .number(0...1e6), .number(2e-9), "weight of the dense CRF; 0 leaves it out"),
    SettingKey("fcam.sigma_xy", .number(1...1e6), .number(100), "deviation of the CRF's Gaussian in pixels"),
    SettingKey("fcam.sigma_rgb", .number(0.1...1e6), .number(15), "deviation of the CRF's Gaussian in levels of 255"),

    SettingKey("training.epochs", .integer(positive), .integer(120), "at most"),
    SettingKey("training.batch", .integer(1..<65537), .integer(8), "images of a step, over all ranks"),
    SettingKey("training.lanes", .integer(1..<4097), .integer(4), "units of parallel work in a batch; a power of two"),
    SettingKey("training.aea", .boolean, .boolean(true), "alternating epochs; false is ablation (iii)"),
    SettingKey("training.aea_start", .choice(["alpha", "ones"]), .text("alpha"), "phase of epoch 1"),
    SettingKey(
      "training.lambda", .number(0...1e6), .number(0.06666667), "λ, the weight of the attention branch's loss"),
    SettingKey(
      "training.optimizer", .choice(["adamw", "sgd"]), .text("adamw"), "sgd: with Nesterov's momentum, as PyTorch"),
    SettingKey("training.lr", .number(1e-12...1e3), .number(5e-5), "learning rate"),
    SettingKey("training.momentum", .number(share), .number(0.9), "of optimizer sgd; 0 is off"),
    SettingKey("training.weight_decay", .number(0...1e3), .number(1e-4), "of tensors with two or more dimensions"),
    SettingKey("training.schedule", .schedule, .poly(0.9), "of the learning rate, over global steps"),
    SettingKey("training.clip", .number(0...1e9), .number(0.01), "largest norm of the gradient; 0 is off"),
    SettingKey(
      "training.patience", .integer(0..<Int.max), .integer(10),
      "validations without a better one before stopping; 0 never stops early"),
    SettingKey(
      "training.select", .choice(["accuracy", "iou", "loss"]), .text("accuracy"),
      "what the best checkpoint is best at, on validation images; loss: the lowest"),
    SettingKey("training.max_skipped", .integer(positive), .integer(10), "refused updates in a row before giving up"),
    SettingKey(
      "training.inject_nan_at_step", .optionalInteger(positive), .null, "makes a step's gradient NaN: a seam for tests"),

    SettingKey("cache.dir", .optionalPath, .null, "folder of the feature cache; null trains live", mayDiffer: true),
    SettingKey("cache.views", .integer(1..<65537), .integer(4), "V, cached views of a training image", mayDiffer: true),
    SettingKey(
      "cache.dtype", .choice(["float16", "float32"]), .text("float16"), "of cached features", mayDiffer: true),
    SettingKey(
      "cache.layers", .layers, .text("all"),
      "beside h⁽ᵐ⁻¹⁾: all that the network reads; tail: none, they are computed; or a list of layers below m, for several "
        + "networks that share a cache",
      mayDiffer: true),

    SettingKey("checkpoint.every_minutes", .number(0...1e6), .number(10), "0: only by epochs", mayDiffer: true),
    SettingKey("checkpoint.every_epochs", .integer(0..<Int.max), .integer(1), "0: only by minutes", mayDiffer: true),
    SettingKey(
      "checkpoint.keep", .integer(positive), .integer(3), "recent checkpoints; the best is kept beside", mayDiffer: true
    ),

    SettingKey(
      "evaluation.protocol", .choice(["standard", "lab"]), .text("standard"), "lab: the authors' earlier one",
      mayDiffer: true),
    SettingKey(
      "evaluation.iou_rule", .choice(["half", "mean_std", "valid"]), .text("valid"), "the table's primary rule",
      mayDiffer: true),
    SettingKey(
      "evaluation.steps", .integer(0..<65537), .integer(224), "of insertion and deletion; 0 leaves them out",
      mayDiffer: true),
    SettingKey(
      "evaluation.substrate", .choice(["zero", "mean", "blur"]), .text("zero"), "what stands for absent pixels",
      mayDiffer: true),
    SettingKey(
      "evaluation.target", .choice(["true_class", "predicted"]), .text("true_class"),
      "whose probability insertion and deletion follow", mayDiffer: true),

    SettingKey("rise.masks", .integer(1..<10_000_001), .integer(2000), "N of method rise", mayDiffer: true),
    SettingKey("rise.cells", .integer(1..<4097), .integer(8), "s, cells a side of a mask", mayDiffer: true),
    SettingKey(
      "rise.keep", .number(1e-6...1), .number(0.5), "p, the probability that a cell is kept", mayDiffer: true),
    SettingKey(
      "rise.absent", .choice(["normalised_zero", "zero", "mean", "blur"]), .text("normalised_zero"),
      "what stands for absent pixels; normalised_zero: 0 after normalisation", mayDiffer: true),
    SettingKey(
      "rise.settle", .optionalNumber(-1...1), .null,
      "stop an image's map after 250, 500, 1000, … masks if those of even and odd masks correlate so well",
      mayDiffer: true),

    SettingKey(
      "table.rows", .rows, .rows(RowSetting.known.map { RowSetting(known: $0) }),
      "the rows of ala table, and rows of your own over these settings (docs/table.md)", mayDiffer: true),
    SettingKey(
      "table.seeds", .integers(seeds), .integers([0, 1, 2]), "the seeds of every row, each in place of run.seed",
      mayDiffer: true),
    SettingKey(
      "table.limit", .optionalInteger(positive), .null,
      "evaluate every row on a fixed random subset of so many test images; null: on all", mayDiffer: true),
    SettingKey(
      "table.classifier", .text, .text("iv"),
      "the row whose network rise, gradcam, rollout, gaussian and random explain: i, ii, iii, iv, abn, cam, or one of "
        + "your own",
      mayDiffer: true),
  ]

  /// The reference page of all settings, in Markdown; `docs/settings.md` is this text.
  public static var referencePage: String {
    var lines = [
      "# Settings", "",
      "Every setting of `ala`, from the table in `Sources/Settings/SettingTable.swift`. A flag beats `--set key=value`, that",
      "the environment (`ALA_` + the path in capitals with `__` for the dot; `ALA_THREADS`), that the YAML file, that the",
      "default. A file may name another with `extends`. A resumed run may differ only in the settings marked `*`.", "",
      "A variable that begins with `ALA_` and is no setting is an error, but for those of the build and the tests:",
      "\(EnvironmentSettings.others.map { "`\($0)`" }.joined(separator: ", ")).", "",
      "| setting | may be | default | meaning |", "|---|---|---|---|",
    ]
    for key in keys {
      lines.append(
        "| `\(key.path)`\(key.mayDiffer ? " *" : "") | \(key.kind.expectation) | `\(key.standard.yaml)` | \(key.meaning) |"
      )
    }
    return lines.joined(separator: "\n") + "\n"
  }

  /// Whether settings lie below a path.
  static func hasSection(_ path: String) -> Bool { keys.contains { $0.path.hasPrefix(path + ".") } }

  /// The key of a path.
  public static func key(_ path: String) -> SettingKey? { keys.first { $0.path == path } }
}
