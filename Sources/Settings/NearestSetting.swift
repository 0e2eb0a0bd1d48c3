/// What a user may have meant by a key that is no setting.
extension SettingTable {
  /// Words that other programs use, by the setting that they stand for here. Keys are compared without underscores,
  /// dashes and capitals.
  public static let synonyms: [String: [String]] = [
    "run.dir": ["output", "outputdir", "outdir", "out", "logdir", "savedir", "workdir", "rundir", "checkpointdir"],
    "run.seed": ["randomseed", "rngseed", "manualseed"],
    "run.threads": [
      "workers", "numworkers", "nworkers", "numthreads", "nthreads", "jobs", "njobs", "cpus", "numcpus",
      "loaderthreads",
    ],
    "run.products": ["blas", "blaslibrary", "gemm", "matmul", "mathlibrary", "onednn", "mkldnn"],
    "data.root": ["dataset", "datadir", "dataroot", "datapath", "datafolder", "datasetdir", "imagedir", "traindir"],
    "data.classes": ["numclasses", "nclasses", "nclass", "nbclasses", "classnames", "labels", "categories"],
    "data.segmentations": ["masks", "mask", "maskdir", "masksdir", "segmentation", "segmentationdir"],
    "data.mask_threshold": ["threshold", "binarythreshold", "maskcutoff"],
    "data.skip_unreadable": ["skipbroken", "skipcorrupt", "ignoreerrors", "skiperrors"],
    "data.follow_links": ["followsymlinks", "symlinks", "allowlinks", "allowsymlinks"],
    "image.size": ["imgsize", "imagesize", "inputsize", "resolution", "cropsize"],
    "image.augment": ["augmentation", "augmentations", "transforms", "transform", "augment"],
    "encoder.weights": ["model", "modelname", "arch", "backbone", "pretrained", "modelpath", "weights", "encoder"],
    "encoder.heads": ["numheads", "numattentionheads"],
    "encoder.precision": ["dtype", "amp", "fp16", "bf16", "mixedprecision", "precision", "half"],
    "encoder.mean": ["imagemean", "normalizemean", "normmean"],
    "encoder.std": ["imagestd", "normalizestd", "normstd"],
    "lora.rank": ["r", "lorar", "rank"],
    "lora.scale": ["alpha", "loraalpha", "scaling"],
    "lora.targets": ["targetmodules", "modules"],
    "training.epochs": ["numepochs", "nepochs", "maxepochs", "numtrainepochs", "epoch"],
    "training.batch": [
      "batchsize", "bs", "trainbatchsize", "globalbatchsize", "perdevicetrainbatchsize", "minibatch", "minibatchsize",
    ],
    "training.lr": ["learningrate", "baselr", "initiallr", "lr0", "eta", "stepsize"],
    "training.weight_decay": ["wd", "l2", "decay", "weightdecay"],
    "training.schedule": ["scheduler", "lrscheduler", "lrschedule", "lrschedulertype"],
    "training.clip": [
      "gradclip", "clipgrad", "clipnorm", "maxgradnorm", "gradientclip", "gradientclipval", "clipvalue",
    ],
    "training.patience": ["earlystopping", "earlystop", "earlystoppingpatience"],
    "training.select": ["monitor", "metricforbestmodel", "bestmetric", "selection"],
    "cache.dir": ["cachedir", "featuredir", "featurecache"],
    "cache.dtype": ["cachedtype", "cacheprecision"],
    "checkpoint.every_epochs": ["saveevery", "saveinterval", "savefreq", "savesteps", "checkpointinterval"],
    "checkpoint.keep": ["savetotallimit", "keeplast", "maxtokeep", "keepcheckpoints"],
    "evaluation.iou_rule": ["iouthreshold", "iou"],
    "evaluation.substrate": ["baseline", "fill", "fillvalue"],
    "evaluation.steps": ["numsteps", "perturbationsteps"],
  ]

  /// The known path nearest to a key that is none: by meaning where other programs call a setting so, else by edit
  /// distance, in which a section's name counts less than the key's. Nil where none is near.
  public static func nearest(to path: String) -> String? {
    let last = path.split(separator: ".").last.map(String.init) ?? path
    return meant(by: path) ?? meant(by: last)
      ?? keys.min { one, other in distance(one) < distance(other) }.flatMap {
        isNear(path, $0.path) || isNear(last, name($0)) ? $0.path : nil
      }

    func name(_ key: SettingKey) -> String { key.path.split(separator: ".").last.map(String.init) ?? key.path }
    func distance(_ key: SettingKey) -> Int {
      min(editDistance(path, key.path), editDistance(last, name(key)) * 2)
    }
  }

  /// How a sentence on a key that is no setting goes on where none is near.
  static let listing = "; ala config lists those that there are"

  /// The setting that a word stands for; nil where no setting, or more than one, is called so.
  private static func meant(by word: String) -> String? {
    let plain = plain(word)
    if let synonym = synonyms.first(where: { $0.value.contains(plain) }) { return synonym.key }
    // The key alone, or in another section, or with the section's name joined to it.
    let own = keys.filter { key in
      let parts = key.path.split(separator: ".").map { Self.plain(String($0)) }
      return plain == parts.last || plain == parts.joined()
    }
    return own.count == 1 ? own.first?.path : nil
  }

  private static func plain(_ word: String) -> String {
    word.lowercased().filter { $0 != "_" && $0 != "-" && $0 != "." }
  }
}

/// Whether a word that is none may have been meant as another: it begins it, or few letters are in their place.
public func isNear(_ one: String, _ other: String) -> Bool {
  one.count > 1 && other.hasPrefix(one) || editDistance(one, other) <= (one.count < 4 ? 1 : max(2, one.count / 3))
}

/// Levenshtein's distance.
public func editDistance(_ one: String, _ other: String) -> Int {
  let (a, b) = (Array(one.unicodeScalars.prefix(200)), Array(other.unicodeScalars))
  var row = Array(0...b.count)
  for i in a.indices {
    var diagonal = row[0]
    row[0] = i + 1
    for j in b.indices {
      let cost = diagonal + (a[i] == b[j] ? 0 : 1)
      diagonal = row[j + 1]
      row[j + 1] = min(cost, row[j] + 1, diagonal + 1)
    }
  }
  return row[b.count]
}
