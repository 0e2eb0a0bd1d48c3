import Failures
import Foundation
import Images

/// What the cheap look at every file of a data set finds.
struct FileSurvey {
  private let options: DatasetOptions
  private let folder: ImageFolder
  private let masks: MaskFolder?

  /// Images left out, with the reason.
  private(set) var unreadable: [(id: Int, reason: String)] = []
  /// Masks left out, by image id.
  private(set) var leftOutMasks: [Int: MaskFile] = [:]
  /// Of every image and mask that was looked at, by path.
  private(set) var states: [String: FileState] = [:]
  private var maskCount = 0
  /// Images that viewers turn, and the first of them.
  private var turnedCount = 0
  private var firstTurned: String?

  /// - Parameter folder: that of the images.
  init(_ options: DatasetOptions, folder: ImageFolder, masks: MaskFolder?) {
    self.options = options
    self.masks = masks
    self.folder = folder
  }

  /// Looks at an image and its mask.
  ///
  /// - Returns: the size of the image's file in bytes (0 where files aren't looked at); nil where it is left out.
  /// - Throws: `Failure` 66 or 65, unless what is unreadable is to be left out.
  mutating func look(at image: ImageEntry) throws -> Int? {
    guard options.looksAtFiles else { return 0 }
    try folder.checkLinks(image.path)
    let file = "\(folder.path)/\(image.path)"
    let state: FileState?
    let look: ImageLook
    do {
      (state, look) = try folder.look(image.path)
      // Only a whole decoding finds all that is unreadable, and every later run must leave out the same.
      if options.skipsUnreadable { _ = try decodeImage(path: file) }
    } catch let failure as Failure
      where options.skipsUnreadable && failure.code != .unavailable && Self.isThere(file)
    {
      unreadable.append((image.id, failure.message))
      return nil
    }
    if look.orientation != 1 {
      turnedCount += 1
      firstTurned = firstTurned ?? file
    }
    states[file] = state
    try lookAtMask(of: image, size: look)
    return state?.bytes ?? 0
  }

  private static func isThere(_ path: String) -> Bool { access(path, F_OK) == 0 }

  private mutating func lookAtMask(of image: ImageEntry, size: ImageLook) throws {
    guard let masks else { return }
    if let path = masks.file(of: image) { states[path] = FileState(path) }
    let mask = masks.look(image, size: size, decodes: options.skipsUnreadable)
    if let problem = mask.problem {
      guard options.skipsUnreadable else {
        throw Failure(
          mask.code,
          "\(problem); mend the mask, or leave it out of what masks measure with data.skip_unreadable: true")
      }
      leftOutMasks[image.id] = mask
    }
    if mask != .absent { maskCount += 1 }
  }

  /// What a user should be told once.
  ///
  /// - Parameter images: those that are kept.
  func remarks(_ images: [ImageEntry]) -> [String] {
    guard options.looksAtFiles, let first = images.first else { return [] }
    var remarks: [String] = []
    if let firstTurned {
      remarks.append(ImageLook.orientationRemark(turnedCount, of: images.count, first: firstTurned))
    }
    if let masks, maskCount == 0 {
      remarks.append(
        "no image has a mask: looked \(masks.whereLooked(first)) (data.segmentations)")
    }
    for (id, mask) in leftOutMasks.sorted(by: { $0.key < $1.key }) {
      remarks.append("the mask of image \(id) is left out: \(mask.problem ?? "")")
    }
    return remarks
  }
}
