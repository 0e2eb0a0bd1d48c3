import Failures
import ImageFolders
import Images

/// What a data set's folder says of its images, in whatever layout.
struct ImageListing {
  let folder: ImageFolder
  let classes: [ImageClass]
  /// Those of the wanted classes, in the data set's order.
  let images: [ImageEntry]
  let masks: MaskFolder?
  /// What a user should be told once.
  let remarks: [String]
  /// Who names the images, for messages.
  let place: String

  /// CUB-200-2011's layout.
  ///
  /// - Throws: `Failure` 66 for a missing file, 65 for a wrong one, naming file and line; 78 for a class that isn't there.
  init(cub options: DatasetOptions) throws {
    let annotations = try Annotations(root: options.root, classes: options.classes)
    folder = ImageFolder("\(options.root)/images", followsLinks: options.followsLinks)
    classes = annotations.classes
    images = try annotations.images.lines.compactMap(annotations.entry)
    masks = try MaskFolder(options.masks, root: options.root)
    remarks = []
    place = annotations.images.path
  }

  /// Folders of pictures: the images that `ala import` would make of them, with the same ids.
  ///
  /// - Throws: `Failure` as `Catalogue`; 65 where there is anything that an import would refuse, unless that is to be
  ///   left out; 78 for a class that isn't there.
  init(folders options: DatasetOptions) throws {
    let catalogue = try Catalogue(CatalogueSource(options))
    guard options.skipsUnreadable || catalogue.findings.problemCount == 0 else {
      throw catalogue.findings.refusal(of: options.root, remedy: "leave it out with data.skip_unreadable: true")
    }
    // Links were looked at on the way through the folders.
    folder = ImageFolder(catalogue.imageRoot, followsLinks: true)
    place = options.root
    let all = catalogue.classes.map { ImageClass(id: $0.id, name: $0.name) }
    let classes = try Annotations.choose(options.classes, from: all, place: place)
    self.classes = classes
    let labels = all.map { one in classes.firstIndex(of: one) }
    images = catalogue.images.compactMap { image in
      labels[image.label].map { ImageEntry(image, label: $0, hasValidation: catalogue.hasOwnValidation) }
    }
    let found = catalogue.images.compactMap { image in image.mask.map { (image.id, $0) } }
    masks = options.masks == .none ? nil : MaskFolder(found: Dictionary(uniqueKeysWithValues: found), root: place)
    remarks = catalogue.findings.lines(problems: true).map { "left out: \($0)" }
  }
}

extension CatalogueSource {
  init(_ options: DatasetOptions) {
    self.init(root: options.root)
    labels = options.labels
    boxes = options.boxes
    hasMasks = options.masks != .none
    if case .folder(let folder) = options.masks { masks = folder }
    followsLinks = options.followsLinks
    looksAtFiles = options.looksAtFiles
  }
}

extension ImageEntry {
  /// - Parameters:
  ///   - label: among the wanted classes.
  ///   - hasValidation: whether images that validate are the folder's own.
  init(_ image: CataloguedImage, label: Int, hasValidation: Bool) {
    self.init(
      id: image.id, path: image.path, label: label, isTest: image.part == .test,
      isValidation: hasValidation && image.part == .valid,
      box: image.box.map { Box(x0: $0.x, y0: $0.y, x1: $0.x + $0.width, y1: $0.y + $0.height) })
  }
}

extension Findings {
  /// What is said where problems stand in the way: every kind, counted, with names.
  ///
  /// - Parameter remedy: what else than mending can be done.
  func refusal(of root: String, remedy: String) -> Failure {
    let kinds = kinds(problems: true)
    let code: Failure = kinds == [.missing] ? .missingInput("") : .badData("")
    let count = problemCount
    return Failure(
      code.code,
      "\(root): \(count) problem\(count == 1 ? "" : "s"); mend what is wrong, or \(remedy)"
        + lines(problems: true).map { "\n  \($0)" }.joined())
  }
}
