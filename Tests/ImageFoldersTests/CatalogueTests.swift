import Dataset
import Failures
import Foundation
import ImageFolders
import Images
import TestSupport
import Testing

/// What is made of the folders that people have.

private func names(_ catalogue: Catalogue) -> [String] { catalogue.classes.map(\.name) }

@Test func aFolderIsAClassAndIdsFollowClassAndPathWhateverTheNamesHold() throws {
  let pictures = try PictureFolder().photographs(
    "zebra/1.jpg", "Äpfel/b c.JPG", "Äpfel/a.jpeg", "cat/deep/er/2.PNG", "cat/1.jpg")
  let read = try catalogue(pictures)
  #expect(names(read) == ["cat", "zebra", "Äpfel"])
  #expect(paths(read) == ["cat/1.jpg", "cat/deep/er/2.PNG", "zebra/1.jpg", "Äpfel/a.jpeg", "Äpfel/b c.JPG"])
  #expect(read.images.map(\.id) == [1, 2, 3, 4, 5])
  #expect(read.findings.kinds(problems: true).isEmpty)
}

@Test func whatSystemsAndPeopleLeaveInFoldersIsNoImageAndIsNamed() throws {
  let pictures = try PictureFolder().photographs(
    "cat/1.jpg", "dog/1.jpg", "stray.jpg", "__MACOSX/cat/1.jpg", ".git/x.jpg"
  )
  .text("x", to: "cat/Thumbs.db").text("x", to: "cat/.DS_Store").text("x", to: "cat/._1.jpg").text("x", to: "README.md")
  .text("{}", to: "annotations/notes.json").text("x", to: "made/.ala-made-import").photographs("made/images/cat/1.jpg")
  let read = try catalogue(pictures)
  #expect(paths(read) == ["cat/1.jpg", "dog/1.jpg"])
  #expect(found(read, .hidden) == [".git", "cat/.DS_Store", "cat/._1.jpg"])
  #expect(found(read, .system) == ["__MACOSX", "cat/Thumbs.db"])
  #expect(found(read, .noClass) == ["stray.jpg"])
  #expect(found(read, .madeByAla) == ["made"])
  #expect(found(read, .annotations) == ["annotations"])
  #expect(found(read, .noPicture) == ["README.md"] && found(read, .unusedList) == ["annotations/notes.json"])
  #expect(read.findings.problemCount == 0)
}

@Test func aFileIsAPictureByItsBytesAndOneOfAnotherKindIsAProblem() throws {
  let pictures = try PictureFolder().photographs("cat/1", "cat/2.webp").text("RIFF....WEBP", to: "cat/3.webp")
    .text("text", to: "cat/4.txt")
  let read = try catalogue(pictures)
  #expect(paths(read) == ["cat/1", "cat/2.webp"])
  #expect(found(read, .otherFormat) == ["cat/3.webp"] && found(read, .noPicture) == ["cat/4.txt"])
}

@Test(arguments: ["", "dataset/", "ILSVRC/Data/CLS-LOC/"])
func imageNetsFoldersGiveThePartsAndValidationImagesTestWhereNoOthersDo(below: String) throws {
  let pictures = try PictureFolder().photographs(
    "\(below)train/n01440764/n01440764_1.JPEG", "\(below)train/n01443537/1.JPEG", "\(below)val/n01440764/1.JPEG",
    "\(below)val/n01443537/1.JPEG")
  let read = try catalogue(pictures)
  #expect(names(read) == ["n01440764", "n01443537"])
  #expect(read.images.map(\.part) == [.train, .test, .train, .test] && !read.hasOwnValidation)
  #expect(paths(read).first == "train/n01440764/n01440764_1.JPEG")
}

@Test func trainingValidationAndTestFoldersAreKeptAndUnlabelledImagesAreLeft() throws {
  let pictures = try PictureFolder().photographs("Train/a/1.jpg", "Train/b/1.jpg", "valid/a/1.jpg", "test/b/1.jpg")
  let read = try catalogue(pictures)
  #expect(read.hasOwnValidation && read.images.map(\.part) == [.train, .valid, .train, .test])
  try pictures.photographs("test/7.jpg", "other/c/1.jpg").emptyFolder("valid/b").emptyFolder("Train/c")
  let more = try catalogue(pictures)
  #expect(paths(more) == paths(read))
  #expect(found(more, .noClass) == ["test/7.jpg"] && found(more, .noPart) == ["other/c/1.jpg"])
  #expect(found(more, .emptyPart) == ["valid/b"] && found(more, .emptyClass) == ["Train/c"])
}

@Test func aClassMayBeCalledTrainOrMask() throws {
  let pictures = try PictureFolder().photographs(
    "bus/1.jpg", "train/1.jpg", "train/2.jpg", "mask/1.jpg", "test/old/1.jpg", "mask/1_mask.jpg")
  let read = try catalogue(pictures)
  #expect(names(read) == ["bus", "mask", "test", "train"] && read.images.count == 6)
}

@Test func withoutASplitHalfOfEachClassTestsTheSameEveryTime() throws {
  let pictures = try PictureFolder()
  for index in 1...9 { try pictures.photographs("a/\(index).jpg", "b/\(index).jpg") }
  try pictures.photographs("c/1.jpg")
  let parts = try catalogue(pictures).images.map(\.part)
  #expect(parts.prefix(9).count { $0 == .test } == 4 && parts.dropFirst(9).prefix(9).count { $0 == .test } == 4)
  #expect(parts.last == .train)
  #expect(try catalogue(pictures).images.map(\.part) == parts)
  #expect(Array(parts.prefix(9)) != Array(parts.dropFirst(9).prefix(9)))
}

@Test func classesThatAreNumbersKeepTheirOrderAndAreTheirIds() throws {
  let read = try catalogue(try PictureFolder().photographs("10/1.jpg", "2/1.jpg", "0/1.jpg"))
  #expect(names(read) == ["0", "2", "10"] && read.classes.map(\.id) == [0, 2, 10])
  let mixed = try catalogue(try PictureFolder().photographs("10/1.jpg", "2/1.jpg", "x/1.jpg"))
  #expect(names(mixed) == ["10", "2", "x"] && mixed.classes.map(\.id) == [1, 2, 3])
}

@Test func namesThatUnicodeCallsEqualAreTwoFilesAndOneClassOverParts() throws {
  let (composed, decomposed) = ("caf\u{E9}", "cafe\u{301}")
  let one = try catalogue(try PictureFolder().photographs("x/\(composed).jpg", "x/\(decomposed).jpg"))
  #expect(one.images.count == 2)
  let parts = try catalogue(try PictureFolder().photographs("train/\(composed)/1.jpg", "val/\(decomposed)/1.jpg"))
  #expect(parts.classes.count == 1 && parts.findings.problemCount == 0)
  let clash = try catalogue(try PictureFolder().photographs("\(composed)/1.jpg", "\(decomposed)/1.jpg", "y/1.jpg"))
  #expect(found(clash, .classClash) == [composed])
}

@Test func namesThatCannotStandInALineOrWouldShareAMaskAreProblems() throws {
  let pictures = try PictureFolder().photographs("a/1\n2.jpg", "a/1.jpg ", " b/1.jpg", "c/1.jpg", "c/1.png", "c/1.JPEG")
  try pictures.write([1], to: "c/x")
  let read = try catalogue(pictures)
  #expect(found(read, .badName) == [" b/1.jpg", "a/1\n2.jpg", "a/1.jpg "])
  #expect(found(read, .nameClash) == ["c/1.jpg", "c/1.png"])
  // What a terminal would obey is written out.
  try pictures.photographs("d/\u{1B}[2J\r.jpg ")
  let words = try catalogue(pictures).findings.lines(problems: true).joined()
  #expect(words.contains("a/1\\n2.jpg") && words.contains("d/\\u{1B}[2J\\r.jpg"), "\(words)")
  #expect(!words.unicodeScalars.contains("\u{1B}"))
}

@Test(arguments: [
  ["cat/1.png", "dog/2.png"], ["cat/1_mask.png", "dog/2-mask.png"], ["masks/cat/1.png", "masks/dog/2.png"],
  ["masks/1.png", "masks/2.png"], ["cat/masks/1.png", "dog/Segmentation/2_mask.png"],
  ["annotations/trimaps/1.png", "annotations/trimaps/2.png"], ["masks/cat/1.jpg.png", "masks/dog/2.jpg_mask.png"],
])
func masksAreFoundBesideTheirImagesAndInFoldersOfTheirs(masks: [String]) throws {
  let pictures = try PictureFolder().photographs("cat/1.jpg", "dog/2.jpg", "dog/3.jpg")
  for mask in masks { try pictures.masks(mask) }
  let read = try catalogue(pictures)
  #expect(read.images.map { $0.mask?.dropFirst(pictures.path.count + 1) } == [masks[0][...], masks[1][...], nil])
  #expect(names(read) == ["cat", "dog"] && read.findings.kinds(problems: true).isEmpty)
  let unused = try catalogue(pictures) { $0.hasMasks = false }
  #expect(paths(unused) == paths(read) && unused.images.allSatisfy { $0.mask == nil })
}

@Test func aFolderOfImagesMayHaveAParallelOneOfMasksAndOneMayBeNamed() throws {
  let pictures = try PictureFolder().photographs("images/cat/1.jpg", "images/dog/1.jpg").masks("masks/dog/1.png")
  let read = try catalogue(pictures)
  #expect(paths(read) == ["cat/1.jpg", "dog/1.jpg"] && read.imageRoot == "\(pictures.path)/images")
  #expect(read.images.map(\.mask) == [nil, "\(pictures.path)/masks/dog/1.png"])
  let elsewhere = try PictureFolder().masks("cat/1.png", "cat/2.png")
  let named = try catalogue(pictures) { $0.masks = elsewhere.path }
  #expect(named.images.map(\.mask) == ["\(elsewhere.path)/cat/1.png", nil])
  #expect(found(named, .maskWithoutImage) == ["cat/2.png"] && paths(named) == paths(read))
  // A folder of the tree that nothing but its being named tells from a class.
  try pictures.masks("images/drawn/cat/1.png")
  let within = try catalogue(pictures) { $0.masks = "\(pictures.path)/images/drawn" }
  #expect(paths(within) == paths(read) && within.images[0].mask?.hasSuffix("/images/drawn/cat/1.png") == true)
}

@Test(arguments: [
  ["cat/images/1.jpg", "cat/masks/1.png", "dog/images/1.jpg", "dog/masks/1.png"],
  ["train/images/cat/1.jpg", "train/masks/cat/1.png", "test/images/dog/1.jpg", "test/masks/dog/1.png"],
  ["train/cat/img/1.jpg", "train/cat/gt/1.png", "test/dog/img/1.jpg", "test/dog/gt/1.png"],
])
func imagesAndMasksMayLieInFoldersOfTheirOwnBelowClassesAndParts(files: [String]) throws {
  let pictures = try PictureFolder().photographs(files[0], files[2]).masks(files[1], files[3])
  let read = try catalogue(pictures)
  #expect(names(read) == ["cat", "dog"] && read.findings.kinds(problems: true).isEmpty)
  #expect(read.images.map { $0.mask?.dropFirst(pictures.path.count + 1) } == [files[1][...], files[3][...]])
  #expect(read.findings.kinds(problems: false).isEmpty, "\(read.findings.lines(problems: false))")
}

@Test func masksThatMayBeOfSeveralImagesAreAProblemAndUnmatchedOnesAreLeft() throws {
  let pictures = try PictureFolder().photographs("cat/1.jpg", "dog/1.jpg").masks("masks/1.png", "masks/9.png")
  let read = try catalogue(pictures)
  #expect(found(read, .maskClash) == ["masks/1.png"] && found(read, .maskWithoutImage) == ["masks/9.png"])
}

@Test func linksAreFollowedWithinTheFolderAndNeverRoundInCircles() throws {
  let pictures = try PictureFolder().photographs("pool/1.jpg", "cat/2.jpg")
  let elsewhere = try PictureFolder().photographs("3.jpg")
  symlink("../pool/1.jpg", "\(pictures.path)/cat/1.jpg")
  symlink("..", "\(pictures.path)/cat/up")
  symlink("\(elsewhere.path)/3.jpg", "\(pictures.path)/cat/3.jpg")
  symlink("absent", "\(pictures.path)/cat/4.jpg")
  let read = try catalogue(pictures)
  #expect(paths(read) == ["cat/1.jpg", "cat/2.jpg", "pool/1.jpg"])
  #expect(found(read, .outsideLink) == ["cat/3.jpg"] && found(read, .brokenLink) == ["cat/4.jpg"])
  #expect(found(read, .loop) == ["cat/up"] && read.findings.suspicions.contains { $0.contains("cat/up") })
  #expect(paths(try catalogue(pictures) { $0.followsLinks = true }).contains("cat/3.jpg"))
}

@Test func whatIsNoSetOfClassesIsRefusedWithWhatWasExpected() throws {
  let flat = try PictureFolder().photographs("1.jpg", "2.jpg")
  let failure = #expect(throws: Failure.self) { try catalogue(flat) }
  #expect(failure?.code == .badData && failure?.message.contains("CLASS/image.jpg") == true)
  #expect(failure?.message.contains("pictures in no class folder: 2 (1.jpg, 2.jpg)") == true)
  #expect(throws: Failure.self) { try catalogue(try PictureFolder().photographs("images/1.jpg", "images/2.jpg")) }
  let detection = try PictureFolder().photographs("train/images/1.jpg", "val/images/2.jpg").text(
    "0", to: "train/labels/1.txt")
  #expect(throws: Failure.self) { try catalogue(detection) }
  let cub = try PictureFolder().text("1 a", to: "images.txt").text("1 a", to: "classes.txt")
  #expect(throws: Failure.self) { try catalogue(cub) }
  let absent = #expect(throws: Failure.self) { try Catalogue(CatalogueSource(root: "\(flat.path)/absent")) }
  #expect(absent?.code == .missingInput)
}

@Test func aSplitMayBeMadeWithinEachClass() throws {
  let pictures = try PictureFolder().photographs(
    "a/train/1.jpg", "a/test/2.jpg", "b/Train/1.jpg", "b/train/x/2.jpg", "b/val/3.jpg")
  let read = try catalogue(pictures)
  #expect(names(read) == ["a", "b"] && read.hasOwnValidation)
  #expect(paths(read) == ["a/test/2.jpg", "a/train/1.jpg", "b/Train/1.jpg", "b/train/x/2.jpg", "b/val/3.jpg"])
  #expect(read.images.map(\.part) == [.test, .train, .train, .train, .valid])
  try pictures.photographs("b/4.jpg")
  #expect(
    try catalogue(pictures).notes[0] == "taken as a folder for each class", "of one picture nothing says the part")
}

@Test(arguments: [
  ("LOC_val_solution.csv", "ImageId,PredictionString\nv_1,n1 1 2 3 4 n1 5 6 7 8 \nv_2,n0 1 2 3 4 \nv_9,n0 1 2 3 4 \n"),
  ("val.txt", "v_1.JPEG 1\nv_2.JPEG  0 \n"), ("meta/val_map.txt", "v_1.JPEG n1\nv_2.JPEG n0\n"),
  ("val/val_annotations.txt", "v_1.JPEG\tn1\t0\t32\nv_2.JPEG\tn0\t1\t2\n"),
  ("val.csv", "image,label\nv_1,n1\nv_2,n0\n"),
])
func validationImagesInOneFolderHaveTheClassesThatAListOfThemTells(name: String, text: String) throws {
  for below in ["val", "val/images"] {
    let pictures = try PictureFolder().photographs(
      "train/n0/1.JPEG", "train/n1/images/1.JPEG", "\(below)/v_1.JPEG", "\(below)/v_2.JPEG", "\(below)/v_3.JPEG",
      "test/t.JPEG"
    ).text(text, to: name)
    let read = try catalogue(pictures)
    #expect(paths(read) == ["train/n0/1.JPEG", "\(below)/v_2.JPEG", "train/n1/images/1.JPEG", "\(below)/v_1.JPEG"])
    #expect(read.images.map(\.part) == [.train, .test, .train, .test] && names(read) == ["n0", "n1"])
    #expect(found(read, .noClass).sorted() == ["test/t.JPEG", "\(below)/v_3.JPEG"])
    #expect(found(read, .noPicture) == [] && read.notes[0].contains(name))
  }
}

@Test func aClassThatNoFolderHasIsAProblemOfTheValidationImage() throws {
  let pictures = try PictureFolder().photographs("train/n0/1.JPEG", "val/1.JPEG", "val/2.JPEG")
  for number in ["1", "-1", "99999999999999999999"] {
    try pictures.text("1.JPEG \(number)\n2.JPEG 0\n", to: "val.txt")
    #expect(found(try catalogue(pictures), .unknownClass) == ["val/1.JPEG"], "\(number)")
  }
}

@Test func aClassFolderWhoseNameIsNoLineIsToldOnceAndNotCalledEmpty() throws {
  let read = try catalogue(try PictureFolder().photographs("a/1.jpg", "b\nc/1.jpg", "b\nc/2.jpg"))
  #expect(found(read, .badName) == ["b\nc"] && found(read, .emptyClass) == [] && paths(read) == ["a/1.jpg"])
}

@Test(arguments: ["val", "Test", "only/validation", "a/b/testing"])
func aPartThatStandsAloneIsNoClassAndItsImagesAreOfThatPart(folder: String) throws {
  let pictures = try PictureFolder().photographs("\(folder)/cat/1.jpg", "\(folder)/cat/2.jpg", "\(folder)/dog/1.jpg")
  let read = try catalogue(pictures)
  #expect(names(read) == ["cat", "dog"] && read.images.allSatisfy { $0.part == .test }, "\(read.notes)")
  #expect(read.notes[0].hasPrefix("taken as folders of training, validation and test"))
  // A list that is named after the part is one of labels then.
  try pictures.text(
    "\(folder)/cat/1.jpg,big\n\(folder)/cat/2.jpg,small\n", to: "\((folder as NSString).lastPathComponent).csv")
  #expect(try names(catalogue(pictures)) == ["big", "small"])
}

@Test func validationAndTestFoldersNeedNoTrainingBesideThem() throws {
  let read = try catalogue(try PictureFolder().photographs("val/cat/1.jpg", "val/dog/1.jpg", "test/cat/2.jpg"))
  #expect(names(read) == ["cat", "dog"] && read.images.map(\.part) == [.test, .valid, .valid])
}

/// Masks that have lost their pictures, and pictures that are called as masks are.
@Test func whatIsCalledAsTheMasksAreIsNoImage() throws {
  let pictures = try PictureFolder().photographs("zebra/1.jpg", "zebra/4.jpg", "cow/1.jpg", "cow/my_mask.jpg")
    .masks("zebra/1_mask.png", "zebra/3_mask.png").photographs("zebra/4_mask.png", "zebra/5_mask.png")
  let read = try catalogue(pictures)
  #expect(paths(read) == ["cow/1.jpg", "cow/my_mask.jpg", "zebra/1.jpg", "zebra/4.jpg"])
  #expect(read.images.map { $0.mask != nil } == [false, false, true, false] && read.findings.problemCount == 0)
  #expect(found(read, .maskWithoutImage) == ["zebra/3_mask.png"])
  #expect(found(read, .unlikeMask) == ["zebra/4_mask.png", "zebra/5_mask.png"])
  #expect(read.findings.suspicions.count == 2)
  // Who reads the folder where it lies is told, too.
  var options = DatasetOptions(root: pictures.path)
  options.layout = .folders
  #expect(try ImageDataset(options).remarks.count { $0.contains("_mask.png") } == 2)
  // A list that names one has the last word.
  try pictures.text("path,label\nzebra/1.jpg,z\nzebra/4_mask.png,z\n", to: "labels.csv")
  let listed = try catalogue(pictures)
  #expect(paths(listed) == ["zebra/1.jpg", "zebra/4_mask.png"] && found(listed, .unlikeMask) == ["zebra/5_mask.png"])
}

@Test func aMaskWhosePictureIsGoneIsNoImageWhetherOrNotOthersAreThere() throws {
  let suffixed = try catalogue(try PictureFolder().photographs("a/1.jpg", "b/1.jpg").masks("a/2_seg.png"))
  #expect(paths(suffixed) == ["a/1.jpg", "b/1.jpg"] && found(suffixed, .maskWithoutImage) == ["a/2_seg.png"])
  let twins = try catalogue(
    try PictureFolder().photographs("a/1.jpg", "b/1.jpg", "a/3.png").masks("a/1.png", "a/2.png", "b/4.png"))
  #expect(paths(twins) == ["a/1.jpg", "a/3.png", "b/1.jpg", "b/4.png"])
  #expect(found(twins, .maskWithoutImage) == ["a/2.png"])
  // One cut-out among them does not make a folder of masks one of images.
  let folder = try catalogue(
    try PictureFolder().photographs("a/1.jpg", "a/2.jpg", "a/3.jpg", "masks/a/1.png").masks(
      "masks/a/2.png", "masks/a/3.png"))
  #expect(names(folder) == ["a"] && folder.images.allSatisfy { $0.mask != nil })
  // Where there is nothing else, they are what is to be learnt.
  #expect(try paths(catalogue(try PictureFolder().masks("a/1_seg.png", "b/2_seg.png"))).count == 2)
}
