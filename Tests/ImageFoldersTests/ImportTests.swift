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

/// Makes an empty file or a folder whose name is any bytes.
private func make(_ name: [UInt8], in folder: String, isFolder: Bool = false) throws {
  let path = Array("\(folder)/".utf8) + name + [0]
  let made = path.withUnsafeBytes { bytes in
    bytes.withMemoryRebound(to: CChar.self) { path in
      path.baseAddress.map { isFolder ? mkdir($0, 0o755) : open($0, O_CREAT | O_WRONLY, 0o644) } ?? -1
    }
  }
  try #require(made >= 0)
  if !isFolder { close(made) }
}

@Test func namesThatAreNoUTF8AreCountedAsProblemsAndNeverBecomeOthers() throws {
  let (pictures, out) = (try makePlain(), try TemporaryFolder())
  let odd = [UInt8](arrayLiteral: 0x61, 0xE4, 0x2E, 0x6A, 0x70, 0x67)
  try make(odd, in: "\(pictures.path)/ä")
  try make([0xFF], in: pictures.path, isFolder: true)
  let failure = #expect(throws: Failure.self) { try bring(options(pictures), to: "\(out.path)/x") }
  #expect(failure?.code == .badData)
  for words in ["2 problems", "ä/a\\xe4.jpg (no UTF-8)", "\\xff (no UTF-8)"] {
    #expect(failure?.message.contains(words) == true, "\(failure?.message ?? "")")
  }
  #expect(throws: Failure.self) { try ImageDataset(options(pictures)) }
  let skipping = options(pictures) { $0.skipsUnreadable = true }
  let report = try bring(skipping, to: "\(out.path)/x")
  #expect(report.images == 12 && report.left.contains { $0.kind == "badName" && $0.count == 2 })
  try expectSame(try ImageDataset(skipping), try ImageDataset(DatasetOptions(root: "\(out.path)/x")))
}

@Test func anImageOfMorePixelsThanAreReadIsNoPartOfAnImport() throws {
  let (pictures, out) = (try makePlain(), try TemporaryFolder())
  // 46,341 pixels a side, 2^31 in all, and no more than its header and its end.
  let header: [UInt8] = [0, 0, 0, 13, 0x49, 0x48, 0x44, 0x52, 0, 0, 0xB5, 5, 0, 0, 0xB5, 5, 8, 0, 0, 0, 0, 0, 0, 0, 0]
  let end: [UInt8] = [0, 0, 0, 0, 0x49, 0x45, 0x4E, 0x44, 0xAE, 0x42, 0x60, 0x82]
  try pictures.write([0x89, 0x50, 0x4E, 0x47, 0x0D, 0x0A, 0x1A, 0x0A] + header + end, to: "ä/large.png")
  let failure = #expect(throws: Failure.self) { try bring(options(pictures), to: "\(out.path)/x") }
  #expect(failure?.message.contains("ä/large.png (is an unreadable PNG: it has 46341 x 46341 pixels") == true)
  #expect(failure?.code == .badData && failure?.message.contains("pictures that cannot be read: 1 (") == true)
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

/// The split is that of a folder in which the bad pictures never were, and no class loses its test images.
@Test func whatCannotBeReadIsLeftOutBeforeTheSplitIsDrawn() throws {
  let (pictures, rest, out) = (try PictureFolder(), try PictureFolder(), try TemporaryFolder())
  for name in ["a", "b", "c"] {
    for index in 1...9 {
      try pictures.photographs("\(name)/\(index).jpg")
      if name == "c" || index.isMultiple(of: 3) { try rest.photographs("\(name)/\(index).jpg") }
    }
  }
  for name in ["a", "b"] {
    for index in 1...9 where !index.isMultiple(of: 3) {
      let file = "\(pictures.path)/\(name)/\(index).jpg"
      let bytes = try bytes(file)
      // Cut off, or sound at both ends and broken within.
      let broken = index == 1 ? bytes.prefix(80) : bytes.prefix(300) + bytes.suffix(2)
      try broken.write(to: URL(fileURLWithPath: file))
    }
  }
  let skipping = options(pictures) { $0.skipsUnreadable = true }
  let direct = try ImageDataset(skipping)
  try bring(skipping, to: "\(out.path)/x")
  try expectSame(direct, try ImageDataset(DatasetOptions(root: "\(out.path)/x")))
  let expected = try ImageDataset(options(rest))
  #expect(direct.images.map(\.path) == expected.images.map(\.path))
  #expect(direct.images.map(\.isTest) == expected.images.map(\.isTest))
  for label in 0...2 { #expect(direct.images.contains { $0.label == label && $0.isTest }) }
  // Ids are those of all pictures.
  #expect(direct.images.map(\.id).prefix(3) == [3, 6, 9])
  let subset = options(pictures) {
    $0.skipsUnreadable = true
    $0.classes = ["b"]
  }
  try expectSame(try ImageDataset(subset), try ImageDataset(DatasetOptions(root: "\(out.path)/x", classes: ["b"])))
}

@Test func validationImagesThatAreAllUnreadableAreDrawnBothWays() throws {
  let (pictures, out) = (try makeParts(), try TemporaryFolder())
  for name in ["a", "b"] {
    for index in 1...3 { try pictures.write([0xFF, 0xD8, 0xFF, 0xE0, 0], to: "val/\(name)/\(index).jpg") }
  }
  let skipping = options(pictures) { $0.skipsUnreadable = true }
  try bring(skipping, to: "\(out.path)/x")
  try expectSame(try ImageDataset(skipping), try ImageDataset(DatasetOptions(root: "\(out.path)/x")))
}

@Test func whatARunWouldLackIsWarnedOfByClass() throws {
  let out = try TemporaryFolder()
  func warnings(_ pictures: PictureFolder) throws -> [String] {
    let skipping = options(pictures) { $0.skipsUnreadable = true }
    return try bring(skipping, to: "\(out.path)/\(UUID().uuidString)").warnings
  }
  let few = "there is no validation image: "
  #expect(try warnings(makePlain()).allSatisfy { $0.hasPrefix(few) } && warnings(makeParts()) == [])
  let singles = try PictureFolder().photographs("a/1.jpg", "b/1.jpg").write([1], to: "c/1.jpg")
  #expect(
    try warnings(singles) == [
      "there is no test image, so that nothing can be evaluated", "classes of which no image is left: 1 (c)",
      "classes of a single image, which cannot both train and test: 2 (a, b)", Split.noValidation,
    ])
  let parts = try PictureFolder().photographs(
    "train/a/1.jpg", "train/a/2.jpg", "test/a/3.jpg", "train/b\u{1B}/1.jpg", "train/b\u{1B}/2.jpg", "test/c/1.jpg",
    "test/c/2.jpg")
  #expect(
    try warnings(parts) == [
      "classes without a test image: 1 (b\\u{1B})", "classes without a training image: 1 (c)", Split.noValidation,
    ])
  let tests = try PictureFolder().text("path,label,split\n1.jpg,a,test\n2.jpg,a,test\n", to: "l.csv")
    .photographs("1.jpg", "2.jpg")
  #expect(
    try warnings(tests) == [
      "there is a single class, a: accuracy says nothing where nothing else can be answered",
      "there is no training image, so that nothing can be trained",
    ])
}

@Test func anOutThatIsALinkOrEndsInDotsIsItsFolder() throws {
  let (pictures, out) = (try makePlain(), try TemporaryFolder())
  let (real, link) = ("\(out.path)/real", "\(out.path)/link")
  try FileManager.default.createDirectory(atPath: real, withIntermediateDirectories: true)
  symlink("real", link)
  for place in [link, "\(link)/", "\(link)/.", "\(real)/./", "\(out.path)/new/.//"] {
    #expect(try bring(options(pictures), to: place).images == 12, "\(place)")
    #expect(try ImageDataset(DatasetOptions(root: place)).images.count == 12, "\(place)")
  }
  #expect(try FileManager.default.destinationOfSymbolicLink(atPath: link) == "real")
  #expect(try FileManager.default.contentsOfDirectory(atPath: out.path).sorted() == ["link", "new", "real"])
  symlink("absent", "\(out.path)/nothing")
  symlink("real/images.txt", "\(out.path)/file")
  let here = FileManager.default.currentDirectoryPath
  for (place, words) in [
    ("\(out.path)/nothing", "a symbolic link to nothing"), ("\(out.path)/file", "a symbolic link to a file"),
    ("\(real)/images.txt", "is no folder"), (".", "the folder that this command runs in"), (here, "that this command"),
  ] {
    let failure = #expect(throws: Failure.self) { try bring(options(pictures), to: place) }
    #expect(failure?.code == .cannotWrite && failure?.message.contains(words) == true, "\(failure?.message ?? "")")
  }
}

@Test(arguments: [(10, true), (11, false), (12, false)])
func upToFiveTrainingImagesOfAClassGiveNoneToValidateAndThatIsSaid(count: Int, isWarned: Bool) throws {
  let (pictures, out) = (try PictureFolder(), try TemporaryFolder())
  for index in 1...count { try pictures.photographs("a/\(index).jpg", "b/\(index).jpg") }
  let report = try bring(options(pictures), to: "\(out.path)/x")
  let dataset = try ImageDataset(options(pictures))
  let split = try Split(dataset, seed: 0)
  #expect(split.valid.isEmpty == isWarned && report.warnings == (isWarned ? [Split.noValidation] : []))
  #expect(dataset.trainingRemarks(split) == report.warnings)
}
