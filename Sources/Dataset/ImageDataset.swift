import Digests
import Failures
import Foundation
import ImageFolders
import Images

/// One class as `classes.txt` has it.
public struct ImageClass: Equatable, Sendable {
  /// The data set's own number, from anywhere; the model numbers classes from 0 in the file's order.
  public let id: Int
  public let name: String
}

/// One image.
public struct ImageEntry: Equatable, Sendable {
  public let id: Int
  /// Relative to `images/`, or to what the folders of classes lie in.
  public let path: String
  /// From 0, in the order of `classes.txt`.
  public let label: Int
  public let isTest: Bool
  /// Whether the data set itself says that it validates.
  public let isValidation: Bool
  /// x0, y0, x1, y1 in the stored image's pixels; nil where none is annotated.
  public let box: Box?

  func testing(_ isTest: Bool) -> ImageEntry {
    ImageEntry(id: id, path: path, label: label, isTest: isTest, isValidation: isValidation, box: box)
  }
}

/// Where masks are looked for.
public enum Masks: Equatable, Sendable {
  /// In `segmentations/` beside the images, if it is there.
  case beside
  /// In a folder, which must be there.
  case folder(String)
  /// Nowhere.
  case none

  /// - Parameter setting: `data.segmentations`.
  public init(setting: String) {
    switch setting {
    case "auto": self = .beside
    case "none": self = .none
    default: self = .folder(setting)
    }
  }
}

/// How a data set's folder is laid out.
public enum DataLayout: String, Sendable {
  /// As CUB-200-2011.
  case cub
  /// As people keep their pictures: what `ala import` takes.
  case folders
}

/// Where boxes are looked for in layout `folders`; nil for files that are found there.
///
/// - Parameter setting: `data.boxes`.
public func boxFiles(setting: String) -> [String]? {
  switch setting {
  case "auto": nil
  case "none": []
  default: [setting]
  }
}

/// Where a data set lies, and how it is read.
public struct DatasetOptions: Sendable {
  public var root: String
  public var layout = DataLayout.cub
  /// In layout `folders`: a CSV of path, label and split; nil looks for one.
  public var labels: String?
  /// In layout `folders`: files of boxes; nil looks for such.
  public var boxes: [String]?
  /// The ids or names of the classes to keep; nil keeps all.
  public var classes: [String]?
  public var masks = Masks.beside
  /// Leaves unreadable images, and masks that cannot be used, out instead of refusing the set.
  public var skipsUnreadable = false
  /// Takes images that lie outside `images/`, by symbolic links.
  public var followsLinks = false
  /// False reads the text files alone.
  public var looksAtFiles = true

  public init(root: String, classes: [String]? = nil) {
    self.root = root
    self.classes = classes
  }
}

/// A labelled image set.
public struct ImageDataset: Sendable {
  public let root: String
  /// What images' paths are relative to.
  public let imageRoot: String
  public let classes: [ImageClass]
  /// In the order of `images.txt`.
  public let images: [ImageEntry]
  /// Images left out because they cannot be read (`data.skip_unreadable`), with the reason.
  public let unreadable: [(id: Int, reason: String)]
  /// SHA-256 over ids, paths and sizes in bytes.
  public let digest: String
  /// What a user should be told once of the files.
  public let remarks: [String]
  /// Whether validation images are the data set's own, and are not drawn.
  public let hasOwnValidation: Bool
  private let masks: MaskFolder?
  private let leftOutMasks: [Int: MaskFile]
  private let states: [String: FileState]
  private let indexByID: [Int: Int]

  /// Reads the text files and takes a cheap look at every image and mask.
  ///
  /// - Throws: `Failure` 66 for a missing file, 65 for a wrong one, naming file and line; 78 for a class that isn't there.
  public init(_ options: DatasetOptions) throws {
    root = options.root
    guard FileManager.default.fileExists(atPath: root) else {
      throw Failure.missingInput("\(root): there is no such folder (data.root)")
    }
    let listing =
      switch options.layout {
      case .cub: try ImageListing(cub: options)
      case .folders: try ImageListing(folders: options)
      }
    (imageRoot, classes, masks) = (listing.folder.path, listing.classes, listing.masks)

    var survey = FileSurvey(options, folder: listing.folder, masks: masks)
    var images: [ImageEntry] = []
    let hash = SHA256()
    for image in listing.images {
      guard let bytes = try survey.look(at: image) else { continue }
      hash.update("\(image.id)\t\(image.path)\t\(bytes)\n")
      images.append(image)
    }
    guard !images.isEmpty else { throw Failure.badData("\(listing.place): names no image that can be used") }
    if listing.drawsTests {
      let isTest = drawnTests(labels: images.map(\.label), classIDs: classes.map(\.id))
      images = zip(images, isTest).map { $0.testing($1) }
    }
    self.images = images
    hasOwnValidation = images.contains(where: \.isValidation)
    unreadable = survey.unreadable
    leftOutMasks = survey.leftOutMasks
    states = survey.states
    remarks = listing.remarks + survey.remarks(images)
    digest = hash.finish()
    indexByID = Dictionary(uniqueKeysWithValues: images.enumerated().map { ($1.id, $0) })
  }

  /// SHA-256 over what the text files say beside `digest`: classes in their order, labels, split and boxes.
  public var annotationDigest: String {
    let hash = SHA256()
    for one in classes { hash.update("\(one.id)\t\(one.name)\n") }
    for image in images {
      let box = image.box.map { "\($0.x0) \($0.y0) \($0.x1) \($0.y1)" } ?? "none"
      let validates = image.isValidation ? "\tvalid" : ""
      hash.update("\(image.id)\t\(image.label)\t\(image.isTest)\t\(box)\(validates)\n")
    }
    return hash.finish()
  }

  /// An image by its id.
  public func image(_ id: Int) -> ImageEntry? { indexByID[id].map { images[$0] } }

  /// Where an image's file is.
  public func path(of image: ImageEntry) -> String { "\(imageRoot)/\(image.path)" }

  /// The image's mask: in CUB-200-2011's layout the same relative path in the folder of masks, `.png`.
  public func mask(of image: ImageEntry) -> MaskFile {
    leftOutMasks[image.id] ?? masks?.file(of: image).map(MaskFile.file) ?? .absent
  }

  /// Makes sure that an image's or a mask's file is still the one that the data set was made of; called when it has been
  /// read, so that no change while it was read is missed.
  ///
  /// - Throws: `Failure` 65.
  public func checkUnchanged(_ path: String) throws {
    guard let before = states[path], let now = FileState(path), now != before else { return }
    let what = now.bytes == before.bytes ? "the time of its last change" : "its size"
    throw Failure.badData(
      "\(path): has been changed since this run began (\(what) is another): leave data alone while runs read them, and "
        + "run the command again")
  }

  /// What a user should be told before a model is trained on a split: a single class, classes that the model cannot learn
  /// for want of images, no image to validate on.
  public func trainingRemarks(_ split: Split) -> [String] {
    let trained = Set(split.train.compactMap { image($0)?.label })
    let untaught = classes.indices.filter { !trained.contains($0) }.map { classes[$0] }
    let named = 10
    let missing =
      "\(untaught.count) of \(classes.count) classes have no training image, and cannot be learnt: "
      + untaught.prefix(named).map(\.name).joined(separator: ", ")
      + (untaught.count > named ? " and \(untaught.count - named) more" : "")
    return [
      Split.singleClass(classes.map(\.name)), untaught.isEmpty ? nil : missing,
      split.valid.isEmpty ? Split.noValidation : nil,
    ].compactMap(\.self)
  }
}
