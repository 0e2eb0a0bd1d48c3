import Dataset
import Failures
import Foundation
import Images
import TestSupport
import Testing

/// Sets in folders of their own, as unpacked archives have them, are the same as without these.

/// Pictures of two classes, by the folders around each class.
private func pictures(_ before: String, _ behind: String = "") -> [String] {
  ["a", "b"].flatMap { name in (0..<4).map { "\(before)\(name)\(behind)/\(name)\($0).jpg" } }
}

private struct Layout: CustomTestStringConvertible {
  let name: String
  var photographs: [String] = []
  var masks: [String] = []
  var texts: [String: String] = [:]
  let expected: (masks: Int, boxes: Int)

  var testDescription: String { name }

  static func masks(_ images: String, _ masks: String) -> Layout {
    Layout(
      name: "\(images) and \(masks)", photographs: pictures("\(images)/"),
      masks: pictures("\(masks)/").map { $0.replacing(".jpg", with: ".png") }, expected: (8, 0))
  }

  static let boxes = "path,x,y,w,h\na/a0.jpg,1,1,4,4\nb/b1.jpg,2,2,4,4\n"
  static let coco = """
    {"images": [{"id": 1, "file_name": "a0.jpg"}], "annotations": [{"image_id": 1, "bbox": [1, 1, 4, 4]}]}
    """
  static let all: [Layout] = [
    masks("images", "masks"), masks("photos", "masks"), masks("pictures", "gt"), masks("x/images", "x/masks"),
    masks("images", "segmentations"), masks("photos", "annotations/trimaps"), masks(".", "masks"),
    masks("train/images", "train/masks"),
    Layout(
      name: "parts", photographs: pictures("images/train/") + pictures("images/test/"),
      masks: pictures("masks/train/").map { $0.replacing(".jpg", with: ".png") }, expected: (8, 0)),
    Layout(name: "boxes", photographs: pictures(""), texts: ["boxes.csv": boxes], expected: (0, 2)),
    Layout(name: "boxes of images", photographs: pictures("images/"), texts: ["boxes.csv": boxes], expected: (0, 2)),
    Layout(name: "COCO", photographs: pictures(""), texts: ["annotations.json": coco], expected: (0, 1)),
    Layout(
      name: "labels", photographs: ["img/0.jpg", "img/1.jpg"],
      texts: ["labels.csv": "path,label\nimg/0.jpg,a\nimg/1.jpg,b\n"], expected: (0, 0)),
    Layout(
      name: "labels of its own pictures", photographs: ["0.jpg", "1.jpg"],
      texts: ["labels.csv": "path,label\n0.jpg,a\n1.jpg,b\n"], expected: (0, 0)),
    Layout(
      name: "labels of a part", photographs: pictures("train/") + ["val/0.jpg", "val/1.jpg"],
      texts: ["val.txt": "0.jpg a\n1.jpg b\n"], expected: (0, 0)),
  ]

  func write(in folder: String, _ set: PictureFolder) throws {
    for name in photographs { try set.photographs("\(folder)/\(name)") }
    for name in masks { try set.masks("\(folder)/\(name)") }
    for (name, text) in texts { try set.text(text, to: "\(folder)/\(name)") }
  }
}

@Test(arguments: Layout.all)
private func foldersAroundASetChangeNothingInIt(layout: Layout) throws {
  for wrapper in ["w/ds", "w/deep/er/ds"] {
    let set = try PictureFolder()
    try layout.write(in: wrapper, set)
    try set.text("of this set", to: "w/README.md").text("free", to: "w/LICENSE").text("", to: "w/.DS_Store")
      .text("", to: "w/__MACOSX/ds/._x.jpg")
    let out = try TemporaryFolder()
    var sets: [ImageDataset] = []
    for (index, root) in ["w", wrapper].enumerated() {
      var options = DatasetOptions(root: "\(set.path)/\(root)")
      options.layout = .folders
      let report = try ImageImport(options, by: .hardLink, isOverwriting: false).write(to: "\(out.path)/\(index)")
      #expect(report.masks == layout.expected.masks && report.boxes == layout.expected.boxes, "\(report.left)")
      sets += [try ImageDataset(options), try ImageDataset(DatasetOptions(root: "\(out.path)/\(index)"))]
    }
    for one in sets.dropFirst() {
      #expect(one.images == sets[0].images && one.classes == sets[0].classes)
      #expect(one.digest == sets[0].digest && one.annotationDigest == sets[0].annotationDigest)
      for image in one.images { #expect((one.mask(of: image) == .absent) == (sets[0].mask(of: image) == .absent)) }
    }
  }
}

@Test func whatLiesBesideTheFolderOfASetIsNamed() throws {
  let set = try PictureFolder().photographs("ds/images/a/1.jpg", "ds/images/b/1.jpg", "preview.jpg")
    .masks("ds/masks/a/1.png", "ds/masks/b/9.png").text("", to: "README").text("", to: "ds/notes")
  let read = try catalogue(set)
  #expect(read.images.map { $0.mask != nil } == [true, false] && read.findings.problemCount == 0)
  #expect(found(read, .noPicture).sorted() == ["README", "ds/notes"] && found(read, .noClass) == ["preview.jpg"])
  #expect(found(read, .maskWithoutImage) == ["ds/masks/b/9.png"])
  #expect(read.notes[0] == "taken as a folder for each class in ds/images/")
}

/// Their paths begin outside the folder, and a set that was made so keeps its paths.
@Test func listsOutsideTheFolderOfASetStillNameItsPictures() throws {
  let set = try PictureFolder().photographs("ds/images/a/1.jpg", "ds/images/b/1.jpg").masks("ds/masks/a/1.png")
    .text("path,x,y,w,h\nds/images/a/1.jpg,1,1,4,4\n", to: "boxes.csv")
  let read = try catalogue(set)
  #expect(paths(read) == ["a/1.jpg", "b/1.jpg"] && read.images.map { $0.mask != nil } == [true, false])
  #expect(read.images.map { $0.box != nil } == [true, false])
  try set.text("path,label\nimages/a/1.jpg,x\nimages/b/1.jpg,y\n", to: "ds/labels.csv")
  let named = try catalogue(set) { $0.labels = "\(set.path)/ds/labels.csv" }
  #expect(paths(named) == ["ds/images/a/1.jpg", "ds/images/b/1.jpg"])
}
