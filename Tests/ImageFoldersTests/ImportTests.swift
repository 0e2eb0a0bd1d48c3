import Dataset
import Failures
import Foundation
import Images
import TestSupport
import Testing

/// `ala import`: the same set as where it lies, and nothing of others' touched.

private func options(_ pictures: PictureFolder, _ change: (inout DatasetOptions) -> Void = { _ in }) -> DatasetOptions {
  var options = DatasetOptions(root: pictures.path)
  options.layout = .folders
  change(&options)
  return options
}

@discardableResult private func bring(
  _ options: DatasetOptions, to out: String, by kind: FileTransfer.Kind = .hardLink, isOverwriting: Bool = false
) throws -> ImportReport {
  try ImageImport(options, by: kind, isOverwriting: isOverwriting).write(to: out)
}

/// Everything that a run reads of a set.
private func expectSame(_ one: ImageDataset, _ other: ImageDataset) throws {
  #expect(one.images == other.images && one.classes == other.classes)
  #expect(one.digest == other.digest && one.annotationDigest == other.annotationDigest)
  #expect(try Split(one, seed: 3) == Split(other, seed: 3))
  for image in one.images {
    #expect(try bytes(one.path(of: image)) == bytes(other.path(of: image)), "\(image.path)")
    #expect(try maskBytes(one, image) == maskBytes(other, image), "\(image.path)")
  }
}

private func bytes(_ path: String) throws -> Data { try Data(contentsOf: URL(fileURLWithPath: path)) }

/// nil where there is none that can be used.
private func maskBytes(_ dataset: ImageDataset, _ image: ImageEntry) throws -> Data? {
  guard case .file(let path) = dataset.mask(of: image) else { return nil }
  return try bytes(path)
}

private func makePlain() throws -> PictureFolder {
  let pictures = try PictureFolder().text(
    "path,x,y,w,h\nb c/1.jpg,0.5,1.25,3.125,4\nä/2.jpg,1,1,400,9\n", to: "boxes.csv")
  for index in 1...6 {
    try pictures.photographs("b c/\(index).jpg", "ä/\(index).jpg")
    if index < 4 { try pictures.masks("b c/\(index)_mask.png") }
  }
  return pictures
}

private func makeParts() throws -> PictureFolder {
  let pictures = try PictureFolder()
  for index in 1...3 {
    for part in ["train", "val", "test"] {
      try pictures.photographs("\(part)/a/\(index).jpg", "\(part)/b/\(index).jpg")
    }
  }
  return try pictures.masks("masks/train/a/1.png")
}

@Test(arguments: [FileTransfer.Kind.hardLink, .copy, .symbolicLink])
func anImportHasTheIdsSplitAndBytesOfTheFolderItself(kind: FileTransfer.Kind) throws {
  let out = try TemporaryFolder()
  for (index, pictures) in [try makePlain(), try makeParts()].enumerated() {
    let place = "\(out.path)/\(index)"
    let report = try bring(options(pictures), to: place, by: kind)
    #expect(report.files == [kind.rawValue: report.images + report.masks])
    var imported = DatasetOptions(root: place)
    imported.followsLinks = kind == .symbolicLink
    try expectSame(try ImageDataset(options(pictures)), try ImageDataset(imported))
    #expect(try ImageDataset(imported).hasOwnValidation == (index == 1))
    if kind == .symbolicLink { #expect(throws: Failure.self) { try ImageDataset(DatasetOptions(root: place)) } }
  }
}

@Test func validationImagesThatAreGivenValidate() throws {
  let pictures = try makeParts()
  let dataset = try ImageDataset(options(pictures))
  let split = try Split(dataset, seed: 0)
  func ids(_ part: String) -> [Int] { dataset.images.filter { $0.path.hasPrefix("\(part)/") }.map(\.id).sorted() }
  #expect(split.train == ids("train") && split.valid == ids("val") && split.test == ids("test"))
  #expect(split.valid.count == 6)
}

@Test func aSubsetOfClassesIsTheSameBothWays() throws {
  let (pictures, out) = (try makeParts(), try TemporaryFolder())
  try bring(options(pictures), to: "\(out.path)/x")
  try expectSame(
    try ImageDataset(options(pictures) { $0.classes = ["b"] }),
    try ImageDataset(DatasetOptions(root: "\(out.path)/x", classes: ["b"])))
}

@Test func whatIsWrongIsNamedAndCountedAndNothingIsWritten() throws {
  let (pictures, out) = (try makePlain(), try TemporaryFolder())
  try pictures.emptyFolder("empty").write([0xFF, 0xD8, 0xFF, 0xE0, 0], to: "ä/broken.jpg").photographs("ä/2.png")
    .masks("b c/5_mask.png", width: 9)
  let failure = #expect(throws: Failure.self) { try bring(options(pictures), to: "\(out.path)/x") }
  #expect(failure?.code == .badData)
  for words in [
    "4 problems", "class folders without pictures: 1 (empty)", "pictures that cannot be read: 1 (", "ä/broken.jpg",
    "share a mask", "ä/2.png", "another size", "b c/5.jpg", "--skip-unreadable",
  ] { #expect(failure?.message.contains(words) == true, "\(words): \(failure?.message ?? "")") }
  #expect(try FileManager.default.contentsOfDirectory(atPath: out.path).isEmpty)
  let direct = #expect(throws: Failure.self) { try ImageDataset(options(pictures)) }
  #expect(direct?.message.contains("data.skip_unreadable: true") == true)

  let skipping = options(pictures) { $0.skipsUnreadable = true }
  let report = try bring(skipping, to: "\(out.path)/x")
  #expect(report.left.filter { ["emptyClass", "unreadable", "nameClash", "badMask"].contains($0.kind) }.count == 4)
  try expectSame(try ImageDataset(skipping), try ImageDataset(DatasetOptions(root: "\(out.path)/x")))
}

@Test func anImportReplacesAnEarlierOneAndNothingElse() throws {
  let (pictures, out) = (try makePlain(), try TemporaryFolder())
  let place = "\(out.path)/x"
  try FileManager.default.createDirectory(atPath: place, withIntermediateDirectories: true)
  try bring(options(pictures), to: place, by: .copy)
  try pictures.photographs("ä/9.jpg")
  #expect(try bring(options(pictures), to: "\(place)/").images == 13)
  #expect(try FileManager.default.contentsOfDirectory(atPath: out.path) == ["x"])

  try "1 mine\n".write(toFile: "\(place)/classes.txt", atomically: true, encoding: .utf8)
  let changed = #expect(throws: Failure.self) { try bring(options(pictures), to: place) }
  #expect(changed?.code == .cannotWrite && changed?.message.contains("classes.txt") == true)
  try bring(options(pictures), to: place, by: .copy, isOverwriting: true)
  try Data([1, 2]).write(to: URL(fileURLWithPath: "\(place)/images/ä/9.jpg"))
  let edited = #expect(throws: Failure.self) { try bring(options(pictures), to: place) }
  #expect(edited?.message.contains("ä/9.jpg") == true)

  try "mine".write(toFile: "\(place)/notes", atomically: true, encoding: .utf8)
  let stranger = #expect(throws: Failure.self) { try bring(options(pictures), to: place, isOverwriting: true) }
  #expect(stranger?.code == .cannotWrite && stranger?.message.contains("notes") == true)
  #expect(FileManager.default.fileExists(atPath: "\(place)/notes"))
  // Its own folder is a stranger's, too.
  #expect(throws: Failure.self) { try bring(options(pictures), to: pictures.path) }
}

@Test func aPictureWhoseLastNameIsInTheImportIsNotLost() throws {
  let (pictures, out) = (try makePlain(), try TemporaryFolder())
  try bring(options(pictures), to: "\(out.path)/x")
  unlink("\(pictures.path)/ä/3.jpg")
  let failure = #expect(throws: Failure.self) { try bring(options(pictures), to: "\(out.path)/x") }
  #expect(failure?.message.contains("images/ä/3.jpg") == true)
}

@Test func anImportWithinItsOwnFolderIsNotImportedAgain() throws {
  let pictures = try makePlain()
  for _ in 1...2 { #expect(try bring(options(pictures), to: "\(pictures.path)/imported").images == 12) }
  #expect(try ImageDataset(options(pictures)).images.count == 12)
}

@Test func anInterruptedImportLeavesNothing() throws {
  let (pictures, out) = (try makePlain(), try TemporaryFolder())
  for stop in [0, 5, 15, 26] {
    let failure = #expect(throws: Failure.self) {
      try ImageImport(options(pictures), by: .copy, isOverwriting: false).write(to: "\(out.path)/x") { done, _ in
        done < stop
      }
    }
    #expect(failure?.code == .interrupted)
    #expect(try FileManager.default.contentsOfDirectory(atPath: out.path).isEmpty)
  }
}

@Test func picturesThatWouldHaveToBeTurnedAreCounted() throws {
  let (pictures, out) = (try makePlain(), try TemporaryFolder())
  let upright = try Data(contentsOf: URL(fileURLWithPath: "\(pictures.path)/ä/2.jpg"))
  // EXIF's header, one entry: 0x0112, a short, 6.
  let exif: [UInt8] =
    Array("Exif\0\0II*\0".utf8) + [8, 0, 0, 0, 1, 0, 0x12, 1, 3, 0, 1, 0, 0, 0, 6, 0, 0, 0, 0, 0, 0, 0]
  let segment = [0xFF, 0xE1, 0, UInt8(exif.count + 2)] + exif
  try pictures.write(Array(upright.prefix(2)) + segment + Array(upright.dropFirst(2)), to: "ä/2.jpg")
  let report = try bring(options(pictures), to: "\(out.path)/x")
  #expect(report.left.filter { $0.kind == "turned" }.count == 1, "\(report.left)")
}
