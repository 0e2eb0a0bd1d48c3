import Dataset
import Failures
import Foundation
import Images
import TestSupport
import Testing

/// What a look through a folder tells its user at once.

private func options(_ pictures: PictureFolder) -> DatasetOptions {
  var options = DatasetOptions(root: pictures.path)
  options.layout = .folders
  return options
}

private func imported(_ pictures: PictureFolder) throws -> ImportReport {
  let out = try TemporaryFolder()
  return try ImageImport(options(pictures), by: .copy, isOverwriting: false).write(to: "\(out.path)/x")
}

@Test func masksOfWhichNoLevelLiesAboveTheThresholdAreToldByTheImport() throws {
  let pictures = try PictureFolder().photographs("a/1.jpg", "a/2.jpg", "b/1.jpg", "b/2.jpg").masks("masks/a/1.png")
  func mask(_ level: UInt8) throws -> [UInt8] {
    try encodePNG(GrayImage(width: 24, height: 20, pixels: (0..<480).map { $0 % 3 == 0 ? level : 0 }))
  }
  #expect(try imported(pictures).warnings.allSatisfy { !$0.contains("mask") })
  // One that is empty is as it says.
  try pictures.write(try mask(1), to: "masks/a/2.png").write(try mask(0), to: "masks/b/1.png")
  let warning = try #require(try imported(pictures).warnings.first { $0.contains("masks") })
  for words in ["1 of the 3 masks", "masks/a/2.png the first, with levels 0, 1;", "data.mask_threshold: 0"] {
    #expect(warning.contains(words), "\(warning)")
  }
}

@Test func columnsThatAreNotUsedAreNamed() throws {
  let pictures = try PictureFolder().photographs("1.jpg", "2.jpg")
    .text("id,path,label,Partition,is_train,fold\n7,1.jpg,a,train,1,0\n8,2.jpg,b,test,0,1\n", to: "labels.csv")
    .text("path,xmin,ymin,xmax,ymax,width,height,class,score\n1.jpg,1,1,4,4,24,20,a,0.5\n", to: "boxes.csv")
  let report = try imported(pictures)
  #expect(report.test == 1 && report.boxes == 1)
  let left = try #require(report.left.first { $0.kind == "unusedColumn" })
  #expect(left.names == ["labels.csv: id", "labels.csv: is_train", "labels.csv: fold", "boxes.csv: score"])
  #expect(try ImageDataset(options(pictures)).remarks.contains { $0.contains("labels.csv: is_train") })
}

@Test func aPictureInPlaceOfAFolderIsCalledOne() throws {
  let pictures = try PictureFolder().photographs("1.jpg")
  let failure = #expect(throws: Failure.self) { try catalogue(pictures) { $0.root = "\(pictures.path)/1.jpg" } }
  #expect(failure?.code == .badData && failure?.message.contains("1.jpg: is a picture; expected a folder") == true)
}

@Test func aListOfPicturesThatAreNotThereLacksTheseAndItsHeadings() throws {
  let pictures = try PictureFolder().photographs("a/1.jpg").text("0.jpg,a\n1.jpg,b\n", to: "labels.csv")
  let failure = #expect(throws: Failure.self) { try catalogue(pictures) { $0.labels = "\(pictures.path)/labels.csv" } }
  #expect(failure?.message.contains("has no headings") == true && failure?.message.contains("no picture 0.jpg") == true)
}

@Test func linesOfOtherLengthsHideNothingElseThatIsWrongWithAList() throws {
  for isNamed in [false, true] {
    let pictures = try PictureFolder().photographs("1.jpg", "2.jpg")
      .text("path,label\n1.jpg,a\n2.jpg\ngone.jpg,b\n2.jpg,b,c\n", to: "labels.csv")
    var options = options(pictures)
    if isNamed { options.labels = "\(pictures.path)/labels.csv" }
    let failure = #expect(throws: Failure.self) { try ImageDataset(options) }
    for words in ["line 3 has 1 field, line 5 has 3 fields; expected 2", "labels.csv:4 gone.jpg"] {
      #expect(failure?.message.contains(words) == true, "\(failure?.message ?? "")")
    }
  }
}

@Test func boxesOfPicturesThatWereLeftAreNotCalledBoxesOfNone() throws {
  let pictures = try PictureFolder().photographs("1.jpg", "a/2.jpg", "b/3.jpg")
    .text("path,x,y,w,h\n1.jpg,1,1,4,4\ngone.jpg,1,1,4,4\n", to: "boxes.csv")
  let read = try catalogue(pictures)
  #expect(found(read, .boxOfLeftPicture) == ["boxes.csv:2"] && found(read, .boxWithoutImage) == ["boxes.csv:3"])
  try pictures.text(
    """
    {"images": [{"id": 1, "file_name": "1.jpg"}, {"id": 2, "file_name": "gone.jpg"}], "annotations": []}
    """, to: "coco.json")
  #expect(found(try catalogue(pictures), .pictureWithoutFile) == ["coco.json: image 2 gone.jpg"])
}
