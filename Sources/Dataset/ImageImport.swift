import Failures
import Files
import Foundation
import ImageFolders
import Images

/// `ala import`: a folder of pictures brought into CUB-200-2011's layout, with the ids and, in a run, the bits that
/// `data.layout: folders` gives it where it lies.
public struct ImageImport {
  private let options: DatasetOptions
  private let transfer: FileTransfer.Kind
  private let isOverwriting: Bool

  /// - Parameters:
  ///   - options: of the folder; its layout is `folders`, whatever they say.
  ///   - isOverwriting: replaces what an earlier import has made even where it has been changed since.
  public init(_ options: DatasetOptions, by transfer: FileTransfer.Kind, isOverwriting: Bool) {
    (self.options, self.transfer, self.isOverwriting) = (options, transfer, isOverwriting)
  }

  /// Goes through the folder, looks at every picture, and writes the layout, which appears whole or not at all.
  ///
  /// - Parameters:
  ///   - out: a new or empty folder, or one of an earlier import.
  ///   - progress: told now and then of images done, of all; false ends the import.
  /// - Throws: `Failure` 66 for what is not there; 65 naming and counting everything that cannot be taken; 73; 75 where
  ///   `progress` said so. Nothing has been written then.
  public func write(to out: String, progress: (_ done: Int, _ total: Int) -> Bool = { _, _ in true }) throws
    -> ImportReport
  {
    let catalogue = try Catalogue(CatalogueSource(options))
    var findings = catalogue.findings
    let images = try look(at: catalogue, &findings, progress: progress)
    try findings.refuse(
      options, leaveOut: "leave it out with --skip-unreadable", behind: "; nothing was written")
    guard !images.isEmpty else { throw Failure.badData("\(options.root): holds no image that can be used") }
    let plan = ImportPlan(catalogue, images: images)
    let folder = try ImportedFolder(out)
    try folder.refuseStrangers(plan, isOverwriting: isOverwriting)
    var files = FileTransfer(transfer)
    return try replaceFolder(folder.path) { temporary in
      try makeFolder("\(temporary)/images")
      for (index, file) in plan.files.enumerated() {
        guard progress(images.count + index, images.count + plan.files.count) else { throw Self.interrupted }
        try files.bring(file.source, to: "\(temporary)/\(file.name)")
      }
      let report = ImportReport(
        plan, options: options, out: out, notes: catalogue.notes, findings: findings, transfer: files)
      try folder.writeLists(plan.tables + [(ImportReport.fileName, try report.json())], in: temporary)
      return report
    }
  }

  private static var interrupted: Failure {
    Failure.interrupted("the import was interrupted, and nothing was written; run the same command again")
  }

  /// The images that can be used, with their masks and the parts that they have without the others; what cannot be read is a finding.
  private func look(
    at catalogue: Catalogue, _ findings: inout Findings, progress: (Int, Int) -> Bool
  ) throws -> [CataloguedImage] {
    var images: [CataloguedImage] = []
    for (index, image) in catalogue.images.enumerated() {
      guard progress(index, 2 * catalogue.images.count) else { throw Self.interrupted }
      let file = "\(catalogue.imageRoot)/\(image.path)"
      do {
        let look = try ImageLook(path: file)
        // Only a whole decoding finds all that is unreadable, and a run leaves out the same.
        if options.skipsUnreadable { _ = try decodeImage(path: file) }
        var mask = image.mask
        if let path = mask,
          let problem = MaskFolder.look(file: path, size: look, decodes: options.skipsUnreadable).problem
        {
          findings.note(.badMask, image.path, problem)
          mask = nil
        }
        if look.orientation != 1 { findings.note(.turned, image.path) }
        images.append(image.withMask(mask))
      } catch let failure as Failure {
        findings.note(.unreadable, image.path, failure.words(behind: file))
      }
    }
    return catalogue.parted(images)
  }
}

/// What an import writes.
struct ImportPlan {
  let classes: [ImageClass]
  let images: [CataloguedImage]
  /// Files that are brought over: where they lie, and their names in the data set's folder.
  let files: [(source: String, name: String)]
  let hasOwnValidation: Bool

  init(_ catalogue: Catalogue, images: [CataloguedImage]) {
    self.images = images
    classes = catalogue.classes.map { ImageClass(id: $0.id, name: $0.name) }
    hasOwnValidation = catalogue.hasOwnValidation
    files = images.flatMap { image in
      [(source: "\(catalogue.imageRoot)/\(image.path)", name: "images/\(image.path)")]
        + (image.mask.map { mask in
          [(source: mask, name: "\(MaskFolder.name)/\(MaskFolder.relativePath(ofMaskOf: image.path))")]
        } ?? [])
    }
  }

  /// The text files of the layout, by name.
  var tables: [(name: String, text: String)] {
    func table(_ line: (CataloguedImage) -> String?) -> String { images.compactMap(line).joined() }
    var tables = [
      ("classes.txt", classes.map { "\($0.id) \($0.name)\n" }.joined()),
      ("images.txt", table { "\($0.id) \($0.path)\n" }),
      ("image_class_labels.txt", table { "\($0.id) \(classes[$0.label].id)\n" }),
      ("train_test_split.txt", table { "\($0.id) \($0.part == .test ? 0 : 1)\n" }),
    ]
    if hasOwnValidation {
      tables.append(
        (
          Annotations.validationFile,
          table { $0.part == .test ? nil : "\($0.id) \($0.part == .valid ? 0 : 1)\n" }
        ))
    }
    if images.contains(where: { $0.box != nil }) {
      tables.append(
        (
          "bounding_boxes.txt",
          table { image in image.box.map { "\(image.id) \($0.x) \($0.y) \($0.width) \($0.height)\n" } }
        ))
    }
    return tables
  }
}
