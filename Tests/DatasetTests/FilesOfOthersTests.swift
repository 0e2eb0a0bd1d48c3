import Dataset
import Failures
import Foundation
import Images
import TestSupport
import Testing

/// What people's folders hold: links, masks that fit badly, turned photographs, classes without images.

private func synthetic(_ folder: TemporaryFolder) throws -> String {
  try SyntheticImages(classes: 3, imagesPerClass: 8, side: 32, seed: 5).write(to: folder.path)
  return folder.path
}

private func options(_ root: String, _ change: (inout DatasetOptions) -> Void = { _ in }) -> DatasetOptions {
  var options = DatasetOptions(root: root)
  change(&options)
  return options
}

private let first = "001.Synthetic_001/Synthetic_001_0001.png"

/// Moves a class folder and an image of another class elsewhere and leaves links.
private func withLinks(_ root: String, to elsewhere: TemporaryFolder) throws -> [String] {
  let images = "\(root)/images"
  let links = ["001.Synthetic_001", "002.Synthetic_002/Synthetic_002_0003.png"]
  for (index, link) in links.enumerated() {
    try FileManager.default.moveItem(atPath: "\(images)/\(link)", toPath: "\(elsewhere.path)/\(index)")
    try FileManager.default.createSymbolicLink(
      atPath: "\(images)/\(link)", withDestinationPath: "\(elsewhere.path)/\(index)")
  }
  return links.map { "\(images)/\($0)" }
}

@Test func linksOutOfTheImagesAreRefusedByNameUnlessAskedForAndChangeNoDigest() throws {
  let (folder, elsewhere) = (try TemporaryFolder(), try TemporaryFolder())
  let root = try synthetic(folder)
  let plain = try ImageDataset(options(root))
  let links = try withLinks(root, to: elsewhere)
  for skips in [false, true] {
    let failure = #expect(throws: Failure.self) { try ImageDataset(options(root) { $0.skipsUnreadable = skips }) }
    #expect(failure?.code == .badData)
    #expect(failure?.message.hasPrefix("\(links[0]): is a symbolic link out of") == true)
    #expect(failure?.message.contains("data.follow_links: true") == true)
  }
  let followed = try ImageDataset(options(root) { $0.followsLinks = true })
  #expect(followed.digest == plain.digest && followed.images == plain.images)
}

@Test func aLinkToNothingIsNamedWithWhatToFetch() throws {
  let folder = try TemporaryFolder()
  let root = try synthetic(folder)
  let victim = "\(root)/images/\(first)"
  unlink(victim)
  symlink("../../.git/annex/objects/absent", victim)
  for follows in [false, true] {
    let failure = #expect(throws: Failure.self) { try ImageDataset(options(root) { $0.followsLinks = follows }) }
    #expect(failure?.code == .missingInput && failure?.message.contains("annex/objects/absent") == true)
  }
}

@Test func linksWithinTheImagesAreFiles() throws {
  let folder = try TemporaryFolder()
  let root = try synthetic(folder)
  let victim = "\(root)/images/\(first)"
  unlink(victim)
  symlink("Synthetic_001_0002.png", victim)
  try FileManager.default.moveItem(atPath: "\(root)/images", toPath: "\(root)/stored")
  symlink("stored", "\(root)/images")
  #expect(try ImageDataset(options(root) { $0.masks = .none }).images.count == 24)
}

@Test(arguments: ["cut off", "another size", "no image"]) func aMaskThatCannotBeUsedIsFoundAtTheStartOrLeftOut(
  fault: String
) throws {
  let folder = try TemporaryFolder()
  let root = try synthetic(folder)
  let mask = "\(root)/segmentations/\(first)"
  let bytes = FileManager.default.contents(atPath: mask) ?? Data()
  let size = try imageSize(path: mask)
  switch fault {
  case "cut off": try bytes.prefix(bytes.count / 2).write(to: URL(fileURLWithPath: mask))
  case "no image": try Data("mask".utf8).write(to: URL(fileURLWithPath: mask))
  default:
    let levels = [UInt8](repeating: 255, count: (size.width + 1) * size.height)
    let other = GrayImage(width: size.width + 1, height: size.height, pixels: levels)
    try Data(try encodePNG(other)).write(to: URL(fileURLWithPath: mask))
  }
  let failure = #expect(throws: Failure.self) { try ImageDataset(options(root)) }
  #expect(failure?.code == .badData && failure?.message.hasPrefix(mask) == true)
  #expect(failure?.message.contains("data.skip_unreadable") == true)
  #expect(try ImageDataset(options(root) { $0.masks = .none }).images.count == 24)

  let rest = try ImageDataset(options(root) { $0.skipsUnreadable = true })
  let image = try #require(rest.image(1))
  #expect(rest.images.count == 24 && rest.unreadable.isEmpty)
  switch rest.mask(of: image) {
  case .unreadable: #expect(fault != "another size")
  case .wrongSize: #expect(fault == "another size")
  default: Issue.record("the mask is used")
  }
  #expect(rest.remarks.contains { $0.contains("the mask of image 1 is left out") && $0.contains(mask) })
}

@Test func aDamagedMaskThatOnlyDecodingFindsIsLeftOutToo() throws {
  let folder = try TemporaryFolder()
  let root = try synthetic(folder)
  let mask = "\(root)/segmentations/\(first)"
  var bytes = FileManager.default.contents(atPath: mask) ?? Data()
  bytes[bytes.count - 20] ^= 0x55
  try bytes.write(to: URL(fileURLWithPath: mask))
  let rest = try ImageDataset(options(root) { $0.skipsUnreadable = true })
  guard case .unreadable(let failure)? = rest.image(1).map({ rest.mask(of: $0) }) else {
    Issue.record("the mask is used")
    return
  }
  #expect(failure.message.contains(mask))
}

@Test func aFolderInNoLayoutSaysHowOthersAreReadAndSettingsOfAnotherLayoutAreTold() throws {
  let folder = try TemporaryFolder()
  let failure = #expect(throws: Failure.self) { try ImageDataset(options(folder.path)) }
  #expect(failure?.code == .missingInput && failure?.message.contains("data.layout: folders") == true)
  let root = try synthetic(folder)
  let set = try ImageDataset(
    options(root) {
      $0.labels = "x.csv"
      $0.boxes = []
    })
  let told = set.remarks.filter { $0.contains("has no effect") }
  #expect(told.count == 2 && told[0].hasPrefix("data.labels") && told[1].hasPrefix("data.boxes"))
}

@Test func whereMasksWereLookedForIsSaidWhenThereIsNone() throws {
  let folder = try TemporaryFolder()
  let root = try synthetic(folder)
  #expect(try ImageDataset(options(root)).remarks.isEmpty)
  try FileManager.default.moveItem(atPath: "\(root)/segmentations", toPath: "\(root)/masks")
  let remark = try ImageDataset(options(root)).remarks.first
  #expect(remark?.contains("\(root)/segmentations/\(first)") == true && remark?.contains("data.segmentations") == true)
  #expect(try ImageDataset(options(root) { $0.masks = .none }).remarks.isEmpty)
  #expect(try ImageDataset(options(root) { $0.masks = .folder("\(root)/masks") }).remarks.isEmpty)
}

@Test func masksThatCannotBeLookedForAreMissingInputAndNotAbsent() throws {
  let folder = try TemporaryFolder()
  let root = try synthetic(folder)
  let (masks, loop) = ("\(root)/segmentations", "\(root)/loop")
  let ofClass = "\(masks)/002.Synthetic_002"
  try FileManager.default.moveItem(atPath: ofClass, toPath: "\(root)/aside")
  symlink(ofClass, ofClass)
  symlink(loop, loop)
  for (place, kind) in [(ofClass, Masks.beside), (loop, .folder(loop))] {
    let failure = #expect(throws: Failure.self) { try ImageDataset(options(root) { $0.masks = kind }) }
    #expect(failure?.code == .missingInput && failure?.message.hasPrefix(place) == true, "\(failure?.message ?? "")")
    #expect(failure?.message.contains("Too many levels of symbolic links") == true)
  }
  // A class without masks is none's fault.
  unlink(ofClass)
  #expect(try ImageDataset(options(root)).remarks.isEmpty)
}

@Test func turnedPhotographsAreToldOfOnce() throws {
  let folder = try TemporaryFolder()
  let root = try synthetic(folder)
  let fixtures = "\(repositoryRoot)/Tests/ImagesTests/Fixtures/odd"
  for name in ["0001", "0002"] {
    let image = "\(root)/images/001.Synthetic_001/Synthetic_001_\(name).png"
    unlink(image)
    try FileManager.default.copyItem(atPath: "\(fixtures)/turned.jpg", toPath: image)
  }
  let remarks = try ImageDataset(options(root) { $0.masks = .none }).remarks
  #expect(remarks.count == 1 && remarks.first?.hasPrefix("2 of 24 images have an EXIF orientation") == true)
  #expect(remarks.first?.contains("\(root)/images/\(first)") == true)
}

@Test func classesWithoutTrainingImagesAreNamed() throws {
  let folder = try TemporaryFolder()
  let root = try synthetic(folder)
  let path = "\(root)/train_test_split.txt"
  let lines = try String(contentsOfFile: path, encoding: .utf8).split(separator: "\n")
  let changed = lines.enumerated().map { index, line in (8..<16).contains(index) ? "\(index + 1) 0" : String(line) }
  try changed.joined(separator: "\n").write(toFile: path, atomically: true, encoding: .utf8)
  let dataset = try ImageDataset(options(root))
  let remarks = dataset.trainingRemarks(try Split(dataset, seed: 0))
  #expect(remarks.contains { $0.hasSuffix("have no training image, and cannot be learnt: 002.Synthetic_002") })
}
