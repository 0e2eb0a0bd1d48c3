import Failures
import Foundation
import ImageFolders
import Images

/// What a data set's folder says of its images, in whatever layout.
struct ImageListing {
  let folder: ImageFolder
  let classes: [ImageClass]
  /// Those of the wanted classes, in the data set's order.
  let images: [ImageEntry]
  let masks: MaskFolder?
  /// Whether half of each class's images test, of those that can be used.
  let drawsTests: Bool
  /// What a user should be told once.
  let remarks: [String]
  /// Who names the images, for messages.
  let place: String

  /// CUB-200-2011's layout.
  ///
  /// - Throws: `Failure` 66 for a missing file, 65 for a wrong one, naming file and line; 78 for a class that isn't there.
  init(cub options: DatasetOptions) throws {
    func has(_ name: String) -> Bool { FileManager.default.fileExists(atPath: "\(options.root)/\(name)") }
    guard has("images.txt") || has("classes.txt") else {
      throw Failure.missingInput(
        "\(options.root): has no images.txt and classes.txt, as CUB-200-2011's layout has; folders of pictures, or a CSV "
          + "of them, are read with data.layout: folders, or brought into that layout by ala import")
    }
    let annotations = try Annotations(root: options.root, classes: options.classes)
    folder = ImageFolder("\(options.root)/images", followsLinks: options.followsLinks)
    classes = annotations.classes
    images = try annotations.images.lines.compactMap(annotations.entry)
    masks = try MaskFolder(options.masks, root: options.root)
    remarks = [("data.labels", options.labels != nil), ("data.boxes", options.boxes != nil)].compactMap { key, isSet in
      isSet ? "\(key) has no effect: it is of data.layout: folders" : nil
    }
    place = annotations.images.path
    drawsTests = false
  }

  /// Folders of pictures: the images that `ala import` would make of them, with the same ids.
  ///
  /// - Throws: `Failure` as `Catalogue`; 65 where there is anything that an import would refuse, unless that is to be
  ///   left out; 78 for a class that isn't there.
  init(folders options: DatasetOptions) throws {
    let catalogue = try Catalogue(CatalogueSource(options))
    try catalogue.findings.refuse(options, leaveOut: "leave it out with data.skip_unreadable: true")
    drawsTests = catalogue.drawsTests
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
    masks = Self.placeOfMasks(options).map { MaskFolder(found: Dictionary(uniqueKeysWithValues: found), place: $0) }
    remarks =
      catalogue.findings.lines(problems: true).map { "left out: \($0)" }
      + [FindingKind.maskWithoutImage, .unlikeMask, .unusedList, .unusedColumn].filter {
        !catalogue.findings[$0].isEmpty
      }.map(catalogue.findings.line)
  }

  /// Where masks are looked for in folders of pictures, in words; nil where they are not.
  private static func placeOfMasks(_ options: DatasetOptions) -> String? {
    switch options.masks {
    case .beside: "beside the images and for folders such as masks/, in \(options.root)"
    case .folder(let folder): "in \(folder)"
    case .none: nil
    }
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
  /// Ends with every kind of problem that stands in the way, counted, with names.
  ///
  /// - Parameters:
  ///   - options: of the folder, and whether what can be left out is.
  ///   - leaveOut: what else than mending can be done.
  ///   - end: what more is said of the way out.
  /// - Throws: `Failure` 65; 66 where nothing is wrong but files that are not there or folders that cannot be read.
  func refuse(_ options: DatasetOptions, leaveOut: String, behind end: String = "") throws {
    let kinds = kinds(problems: true).filter { !options.skipsUnreadable || !$0.canBeLeftOut }
    guard !kinds.isEmpty else { return }
    let count = kinds.reduce(0) { $0 + self[$1].count }
    let remedy = kinds.contains(where: \.canBeLeftOut) ? "; mend what is wrong, or \(leaveOut)" : "; mend what is wrong"
    let code: ExitCode = Set(kinds).isSubset(of: [.missing, .unreadableFolder]) ? .missingInput : .badData
    throw Failure(
      code,
      "\(options.root): \(count) problem\(count == 1 ? "" : "s")\(remedy)\(end)"
        + kinds.map { "\n  \(line($0))" }.joined() + suspicions.map { "\n  not in the way: \($0)" }.joined())
  }
}
