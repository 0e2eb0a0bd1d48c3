import Dataset
import Failures
import Foundation
import ImageFolders
import Images
import TestSupport
import Testing

/// Lists of labels and of boxes, as spreadsheets and other programs write them.

private func box(_ x: Double, _ y: Double, _ width: Double, _ height: Double) -> PixelBox {
  PixelBox(x: x, y: y, width: width, height: height)
}

@Test(arguments: [
  "path,label,split\nx/1.jpg,red,train\nx/2.jpg,\"blue, dark\",test\n",
  "\u{FEFF}Label;Split;Path\r\nred;TRAIN;x/1.jpg\r\nblue, dark;Test;x\\2.jpg\r\n",
  "split\tfilename\tclass\n\ntrain\t./x/1.jpg\tred\ntest\tx/2.jpg\tblue, dark",
  "x/1.jpg,red,train\rx/2.jpg,\"blue, dark\",test\r",
])
func aListOfLabelsIsReadInAnyOrderQuotedOrNotByAnySystem(text: String) throws {
  let pictures = try PictureFolder().photographs("x/1.jpg", "x/2.jpg", "x/3.jpg").text(text, to: "list.txt")
  for place in ["list", "root"] {
    let read = try catalogue(pictures) {
      if place == "list" { $0.labels = "\(pictures.path)/list.txt" } else { $0.root = "\(pictures.path)/list.txt" }
    }
    #expect(read.classes.map(\.name) == ["blue, dark", "red"])
    #expect(read.images.map(\.path) == ["x/2.jpg", "x/1.jpg"] && read.images.map(\.part) == [.test, .train])
    #expect(found(read, .notListed) == ["x/3.jpg"] && read.findings.problemCount == 0)
  }
}

@Test func aListInTheFolderIsFoundAndItsPathsMayBeRelativeToItself() throws {
  let pictures = try PictureFolder().photographs("meta/a.jpg", "images/b.jpg", "images/\u{E9}.jpg")
  try pictures.text("path,label\na.jpg,7\n../images/b.jpg,10\nimages/e\u{301}.jpg,7\n", to: "meta/labels.csv")
  let read = try catalogue(pictures)
  #expect(read.images.map(\.path) == ["images/\u{E9}.jpg", "meta/a.jpg", "images/b.jpg"])
  #expect(read.classes.map(\.id) == [7, 10])
  try pictures.text("path,label\nimages/b.jpg,1\n", to: "other.csv")
  #expect(found(try catalogue(pictures), .severalLists) == ["meta/labels.csv", "other.csv"])
  #expect(try catalogue(pictures) { $0.labels = "\(pictures.path)/other.csv" }.findings.problemCount == 0)
}

/// Of what such lists would say nothing is told, but all else that is wrong.
@Test func severalSoundListsAreNamedBesideAllElseThatIsWrong() throws {
  let pictures = try PictureFolder().photographs("a/1.jpg", "a/1.png").text("path,label\na/1.jpg,x\n", to: "x.csv")
  try pictures.text("file,class\na/1.jpg,y\n", to: "meta/y.tsv").text("path,label\n\"", to: "z.csv").text(
    "[", to: "coco.json")
  for skips in [false, true] {
    var options = DatasetOptions(root: pictures.path)
    (options.layout, options.skipsUnreadable) = (.folders, skips)
    let failure = #expect(throws: Failure.self) { try ImageDataset(options) }
    let message = failure?.message ?? ""
    #expect(failure?.code == .badData)
    for words in ["2 (meta/y.tsv, x.csv); name it with --labels (data.labels)", "2 (z.csv (", "coco.json ("] {
      #expect(message.contains(words), "\(words): \(message)")
    }
    #expect(message.contains("a/1.png (beside a/1.jpg)") == !skips, "\(message)")
  }
}

@Test func everyLineOfAListThatCannotBeTakenIsNamedAndCounted() throws {
  let pictures = try PictureFolder().photographs("1.jpg", "2.jpg", "3.jpg", "4.jpg")
  try pictures.text(
    "path,label,split\n1.jpg,a,train\n1.jpg,a,train\n2.jpg,a,\n2.jpg,b,\nabsent.jpg,a,\n../x.jpg,a,\n3.jpg,,\n4.jpg,a,odd\n",
    to: "l.csv")
  let read = try catalogue(pictures)
  #expect(found(read, .missing) == ["l.csv:6 absent.jpg"] && found(read, .outside) == ["l.csv:7 ../x.jpg"])
  #expect(found(read, .labelClash) == ["l.csv:5 2.jpg"] && found(read, .repeated) == ["l.csv:3 1.jpg"])
  #expect(found(read, .noLabel) == ["l.csv:8 3.jpg"] && found(read, .badPart) == ["l.csv:9 4.jpg"])
  #expect(
    read.findings.lines(problems: true).contains { $0.hasPrefix("files that are named but not there: 1 (l.csv:6") })
}

@Test func onlyWhatAListNamesCanStandInItsWayAndTheReasonIsTheFilesOwn() throws {
  let pictures = try PictureFolder().photographs("1.jpg", "2.jpg", ".hidden/3.jpg").write([1], to: "x.webp")
  let elsewhere = try PictureFolder().photographs("5.jpg")
  symlink("absent", "\(pictures.path)/4.jpg")
  symlink(elsewhere.path, "\(pictures.path)/out")
  try pictures.text("path,label\n1.jpg,a\n2.jpg,b\n", to: "l.csv")
  let read = try catalogue(pictures)
  #expect(paths(read) == ["1.jpg", "2.jpg"] && read.findings.problemCount == 0)
  #expect(Set(found(read, .notListed)) == ["4.jpg", "out", "x.webp"])
  try pictures.text(
    "path,label\n1.jpg,a\n.hidden/3.jpg,a\n4.jpg,b\nout/5.jpg,b\nx.webp,b\nl.csv,b\n", to: "l.csv")
  let named = try catalogue(pictures)
  #expect(found(named, .namedButLeft) == ["l.csv:3 .hidden/3.jpg"] && found(named, .brokenLink) == ["l.csv:4 4.jpg"])
  #expect(found(named, .outsideLink) == ["l.csv:5 out/5.jpg"])
  #expect(found(named, .otherFormat) == ["l.csv:6 x.webp", "l.csv:7 l.csv"])
  #expect(found(named, .notListed) == ["2.jpg"])
}

@Test(arguments: [
  ("path,label\n\"1.jpg,a\n", "a quote has no end"), ("path,label\n1.jpg,a,b\n", "line 2 has 3 fields; expected 2"),
  ("id,score\n1,2\n", "has the columns id, score; expected path, label"), ("", "is empty"),
  ("path,label\n", "has nothing but its headings"), ("path,label,split\n\n", "has nothing but its headings"),
])
func aBrokenListIsRefusedWithItsPlace(text: String, words: String) throws {
  let pictures = try PictureFolder().photographs("1.jpg").text(text, to: "l.csv")
  let failure = #expect(throws: Failure.self) { try catalogue(pictures) { $0.labels = "\(pictures.path)/l.csv" } }
  #expect(failure?.code == .badData && failure?.message.contains(words) == true, "\(failure?.message ?? "")")
}

@Test(arguments: [
  "path,x,y,width,height\na/1.jpg,2,3,10,8\n", "height;width;y;x;image\n8;10;3;2;1.jpg\n",
  "filename,width,height,class,xmin,ymin,xmax,ymax\n1.jpg,24,20,a,2,3,12,11\n",
  "file,x_center,y_center,w,h\n1.jpg,7,7,10,8\n",
  "image,xmin,ymin,xmax,ymax\n1.jpg,0.083333333333333333,0.15,0.5,0.55\n",
])
func aBoxIsTheSameInPixelsHoweverATableWritesIt(text: String) throws {
  let pictures = try PictureFolder().photographs("a/1.jpg", "b/2.jpg").text(text, to: "boxes.csv")
  let read = try catalogue(pictures)
  #expect(read.images.map { $0.box != nil } == [true, false] && read.findings.problemCount == 0)
  let own = try #require(read.images[0].box)
  for (found, expected) in [(own.x, 2.0), (own.y, 3), (own.width, 10), (own.height, 8)] {
    #expect(abs(found - expected) < 1e-9)
  }
}

/// Of three boxes the largest of the picture's class; another picture's sticks out, and one is of another size.
@Test func cocosBoxesAreChosenByClassAndSizeClippedAndChecked() throws {
  let pictures = try PictureFolder().photographs("a/1.jpg", "b/2.jpg", "b/3.jpg", "b/4.jpg")
  try pictures.text(
    """
    {"images": [{"id": 7, "file_name": "1.jpg", "width": 24, "height": 20}, {"id": 8, "file_name": "b/2.jpg"},
      {"id": 9, "file_name": "3.jpg", "width": 48, "height": 40}, {"id": 10, "file_name": "4.jpg"},
      {"id": 11, "file_name": "gone.jpg"}],
     "categories": [{"id": 1, "name": "A"}, {"id": 2, "name": "other"}],
     "annotations": [{"id": 1, "image_id": 7, "category_id": 1, "bbox": [1, 1, 4, 4]},
      {"id": 2, "image_id": 7, "category_id": 1, "bbox": [2, 2, 6, 6]},
      {"id": 3, "image_id": 7, "category_id": 2, "bbox": [0, 0, 24, 20]},
      {"id": 4, "image_id": 8, "category_id": 1, "bbox": [20, 10, 10, 10]},
      {"id": 5, "image_id": 9, "category_id": 1, "bbox": [20, 10, 10, 10]},
      {"id": 6, "image_id": 10, "category_id": 1, "bbox": [40, 10, 10, 10]},
      {"id": 7, "image_id": 11, "category_id": 1, "bbox": [0, 0, 1, 1]}]}
    """, to: "annotations/instances.json")
  let read = try catalogue(pictures)
  #expect(read.images.map(\.box) == [box(2, 2, 6, 6), box(20, 10, 4, 10), nil, nil])
  #expect(found(read, .severalBoxes) == ["a/1.jpg"] && found(read, .clippedBox) == ["b/2.jpg"])
  #expect(read.findings[.otherSize].map(\.text) == ["b/3.jpg (48 x 40, is 24 x 20)"])
  #expect(found(read, .badBox) == ["instances.json: annotation 6"])
  #expect(found(read, .boxWithoutImage) == ["instances.json: annotation 7"])
  #expect(try catalogue(pictures) { $0.boxes = [] }.images.allSatisfy { $0.box == nil })
}

/// As COCO's own files: one for each part, whose names begin below the part's folder.
@Test func aListOfBoxesWhosePartItsNameTellsIsOfThatPartsImages() throws {
  let pictures = try PictureFolder()
  for (number, part) in ["train", "val"].enumerated() {
    try pictures.photographs("\(part)/a/1.jpg", "\(part)/b/1.jpg").text(
      """
      {"images": [{"id": 1, "file_name": "a/1.jpg"}, {"id": 2, "file_name": "\(part)/b/1.jpg"}], "annotations":
        [{"image_id": 1, "bbox": [\(number), 1, 4, 4]}, {"image_id": 2, "bbox": [\(number), 2, 4, 4]}]}
      """, to: "annotations/instances_\(part)2017.json")
  }
  let read = try catalogue(pictures)
  #expect(read.images.map(\.path) == ["train/a/1.jpg", "val/a/1.jpg", "train/b/1.jpg", "val/b/1.jpg"])
  #expect(read.images.map(\.box) == [box(0, 1, 4, 4), box(1, 1, 4, 4), box(0, 2, 4, 4), box(1, 2, 4, 4)])
  #expect(read.findings.problemCount == 0)
  // Another class's picture of the same name is not meant.
  let absent = try PictureFolder().photographs("a/1.jpg", "b/2.jpg").text(
    "path,x,y,w,h\nb/1.jpg,1,1,4,4\n", to: "x.csv")
  #expect(found(try catalogue(absent), .boxWithoutImage) == ["x.csv:2"])
}

@Test func boxesThatMayBeOfSeveralImagesAndFilesThatAreNoBoxesAreRefused() throws {
  let pictures = try PictureFolder().photographs("a/1.jpg", "b/1.jpg").text(
    "path,x,y,w,h\n1.jpg,1,1,5,5\n", to: "boxes.csv")
  #expect(found(try catalogue(pictures), .boxClash) == ["boxes.csv:2"])
  for (text, name) in [("{\"images\": 3}", "x.json"), ("[", "y.json"), ("a,b\n1,2\n", "z.csv")] {
    try pictures.text(text, to: name)
    let failure = #expect(throws: Failure.self) { try catalogue(pictures) { $0.boxes = ["\(pictures.path)/\(name)"] } }
    #expect(failure?.code == .badData && failure?.message.contains(name) == true)
  }
}

@Test(arguments: ["path,label\n", ""])
func aListOfEachPartIsTakenWithItsPart(headings: String) throws {
  let pictures = try PictureFolder().photographs("train/1.jpg", "train/2.jpg", "test/1.jpg", "images/3.jpg")
  try pictures.text("\(headings)train/1.jpg,a\nimages/3.jpg,b\n2.jpg,b\n", to: "train.csv")
  try pictures.text("\(headings)test/1.jpg,a\n", to: "my_test.csv")
  let read = try catalogue(pictures)
  #expect(paths(read) == ["test/1.jpg", "train/1.jpg", "images/3.jpg", "train/2.jpg"])
  #expect(read.images.map(\.part) == [.test, .train, .train, .train] && read.findings.problemCount == 0)
  try pictures.text("\(headings)test/1.jpg,a\ntrain/2.jpg,b\n", to: "my_test.csv")
  #expect(found(try catalogue(pictures), .labelClash) == ["train.csv:\(headings.isEmpty ? 3 : 4) 2.jpg"])
}

@Test func boxesOfXMLAreThoseOfThePicturesWithTheirNames() throws {
  func voc(_ objects: String, width: Int = 24) -> String {
    """
    <?xml version="1.0"?><!-- <annotation> --><annotation verified="yes"><folder>x</folder><filename>other.jpg</filename>
    <source/><size><width>\(width)</width><height>20</height><depth>3</depth></size>\(objects)</annotation>
    """
  }
  func object(_ name: String, _ numbers: Int...) -> String {
    let corners = zip(["xmin", "ymin", "xmax", "ymax"], numbers).map { "<\($0)> \($1) </\($0)>" }.joined()
    return "<object><name>\(name)</name><bndbox>\(corners)</bndbox><part><name>head</name></part></object>"
  }
  let pictures = try PictureFolder().photographs("train/a&b/1.JPEG", "train/c/1.JPEG", "val/c/2.JPEG", "val/c/3.JPEG")
  try pictures.text(voc(object("a&amp;b", 1, 2, 5, 9) + object("c", 0, 0, 20, 20)), to: "Annotations/train/a&b/1.xml")
  try pictures.text(voc(object("c", 2, 3, 12, 14), width: 0), to: "val/c/2.xml").text("<note/>", to: "notes.xml")
  let read = try catalogue(pictures)
  #expect(read.images.map(\.box) == [box(1, 2, 4, 7), nil, box(2, 3, 10, 11), nil])
  #expect(found(read, .noPicture) == ["notes.xml"] && read.notes.contains("boxes are those of 2 XML files"))
  try pictures.text(voc(object("c", 2, 3, 12, 14), width: 25), to: "val/c/3.xml")
  #expect(found(try catalogue(pictures), .otherSize) == ["val/c/3.JPEG"])

  let elsewhere = try PictureFolder().text(voc(object("c", 1, 1, 3, 3)), to: "c/2.xml")
  let named = try catalogue(pictures) { $0.boxes = [elsewhere.path] }
  #expect(named.images.map(\.box) == [nil, nil, box(1, 1, 2, 2), nil])
  for text in ["<annotation><size></annotation>", "<annotation>", "text", String(repeating: "<annotation>", count: 99)]
  {
    try elsewhere.text(text, to: "c/3.xml")
    #expect(throws: Failure.self) { try catalogue(pictures) { $0.boxes = [elsewhere.path] } }
  }
}

/// A list that the folder holds is as good as one that is named: with a fault in it the set is not made without it.
@Test(arguments: [
  ("labels.csv", "path,label\n\"1.jpg,a\n", "line 2: a quote has no end"),
  ("labels.csv", "path,label\na/1.jpg,x\nb/2.jpg,y,z\n", "line 3 has 3 fields; expected 2"),
  ("labels.csv", "path,label\n", "has nothing but its headings"), ("my-labels.tsv", "", "is empty"),
  ("meta/labels.csv", "path,lable\na/1.jpg,x\n", "has the columns path, lable; expected path, label"),
  ("whatever.csv", "Filename;Class\na/1.jpg;x;y\n", "line 2 has 3 fields"),
  ("whatever.csv", "a/1.jpg,x\nb/2.jpg\n", "line 2 has 1 field;"),
  ("boxes.csv", "path,x,y,w,h\na/1.jpg,1,1,4\n", "line 2 has 4 fields"),
  ("boxes.csv", "path,x,y,w\na/1.jpg,1,1,4\n", "expected path and x, y, width, height"),
  ("odd.csv", "image,xmin,ymin,xmax,ymax\n\"a/1.jpg,1,1,4,4\n", "line 2: a quote has no end"),
  ("annotations/x.json", "{\"images\": [{\"file_name\": \"a/1.jpg\"}],\n\n \"annotations\": [", "line 3"),
  ("annotations/x.json", "{\"images\": [],\n\"annotations\": [}\n}", "line 2"),
  ("instances_train.json", "[", "line 1"), ("x.json", "{\"images\": 3, \"annotations\": []}", "has no lists of images"),
  ("Annotations/1.xml", "<annotation><size></annotation>", "is no XML of boxes"),
])
func aListInTheFolderThatCannotBeReadIsRefusedWithItsPlace(name: String, text: String, words: String) throws {
  let pictures = try PictureFolder().photographs("a/1.jpg", "b/2.jpg").text(text, to: name)
  for skips in [false, true] {
    var options = DatasetOptions(root: pictures.path)
    (options.layout, options.skipsUnreadable) = (.folders, skips)
    let failure = #expect(throws: Failure.self) { try ImageDataset(options) }
    #expect(failure?.code == .badData, "\(name)")
    #expect(
      failure?.message.contains("\(name) (") == true && failure?.message.contains(words) == true,
      "\(failure?.message ?? "")")
  }
  #expect(try catalogue(pictures).findings[.badList].count == 1)
}

@Test func bytesThatAreNoTextAreToldByTheirLine() throws {
  let pictures = try PictureFolder().photographs("a/1.jpg").write(
    Array("path,label\na/1.jpg,".utf8) + [0xE4, 0x0A], to: "labels.csv")
  #expect(
    try catalogue(pictures).findings[.badList].map(\.detail) == ["line 2 is not UTF-8 text; save it as CSV UTF-8"])
}

@Test(arguments: [
  ("scores.csv", "id,score\n1,2\n", "has the columns id, score"), ("scores.csv", "id,score\n1,2,3\n", "line 2 has 3"),
  ("labels.csv", "id,name\n1,cat\n", "has the columns id, name"), ("meta/x.tsv", "\"", "a quote has no end"),
  ("settings.json", "{\"a\": 1}", "has no images and annotations"), ("x.json", "{\"images\": []}", "has no images and"),
  ("x.json", "{", "line 1"), ("photos.csv", "path,width,height\na/1.jpg,24,20\n", "has the columns path, width"),
])
func aTableThatIsNoListIsNamedOnceWithTheReasonAndStandsInNobodysWay(
  name: String, text: String, words: String
) throws {
  let pictures = try PictureFolder().photographs("a/1.jpg", "b/2.jpg").text(text, to: name)
  let read = try catalogue(pictures)
  #expect(read.findings.problemCount == 0 && paths(read) == ["a/1.jpg", "b/2.jpg"])
  #expect(found(read, .unusedList) == [name] && found(read, .noPicture) == [])
  #expect(read.findings[.unusedList][0].detail?.contains(words) == true, "\(read.findings[.unusedList][0].text)")
  var options = DatasetOptions(root: pictures.path)
  options.layout = .folders
  #expect(try ImageDataset(options).remarks.count { $0.contains(name) } == 1)
}

@Test func whatIsNamedCountsAndTheFoldersOwnListsAreNoFault() throws {
  let pictures = try PictureFolder().photographs("a/1.jpg", "b/2.jpg")
  try pictures.text("path,label\na/1.jpg,x\nb/2.jpg,y,z\n", to: "labels.csv").text("[", to: "boxes.json")
  try pictures.text("path,label\na/1.jpg,x\n", to: "mine.txt").text("filename,class,x,y,w,h\n1,", to: "boxes.csv")
  let read = try catalogue(pictures) {
    $0.labels = "\(pictures.path)/mine.txt"
    $0.boxes = []
  }
  #expect(read.findings.problemCount == 0 && paths(read) == ["a/1.jpg"])
}

@Test func everyEntryOfCOCOThatSaysNothingCertainIsTold() throws {
  let pictures = try PictureFolder().photographs("a/1.jpg", "b/2.jpg", "b/3.jpg").text(
    """
    {"images": [{"id": 1, "file_name": "1.jpg"}, {"id": 1, "file_name": "2.jpg"}, {"file_name": "3.jpg"},
      {"id": 4, "file_name": "3.jpg"}, {"id": 5, "file_name": "gone.jpg"}],
     "annotations": [{"image_id": 1, "bbox": [1, 1, 4, 4]}, {"image_id": 9, "bbox": [1, 1, 4, 4]},
      {"image_id": 4, "bbox": [1, 1, 5, 5]}, {"image_id": null, "bbox": [1, 1, 4, 4]}]}
    """, to: "x.json")
  let read = try catalogue(pictures)
  #expect(
    found(read, .badEntry) == ["x.json: image 2", "x.json: image 3", "x.json: annotation 2", "x.json: annotation 4"])
  #expect(found(read, .pictureWithoutFile) == ["x.json: image 5 gone.jpg"])
  #expect(read.images.map(\.box) == [nil, nil, box(1, 1, 5, 5)])
}

/// Faults of every kind in one folder: one run tells all of them, and what may be meant otherwise beside them.
@Test func allThatIsWrongIsToldAtOnce() throws {
  let pictures = try PictureFolder().photographs("a/1.jpg", "a/1.png", "b/2.jpg").text("x", to: "b/3.webp")
  try pictures.text("path,x,y,w,h\nabsent.jpg,1,1,4,4\nb/2.jpg,90,90,4,4\n", to: "boxes.csv").text("[", to: "coco.json")
  try pictures.text(
    """
    {"images": [{"id": 1, "file_name": "b/2.jpg"}, {"id": 1, "file_name": "a/1.jpg"}, {"id": 2, "file_name": "no.jpg"}],
     "annotations": []}
    """, to: "annotations/x.json"
  ).emptyFolder("c").text("<annotation>", to: "d.xml").text("id\n", to: "other.csv")
  var options = DatasetOptions(root: pictures.path)
  options.layout = .folders
  let failure = #expect(throws: Failure.self) { try ImageDataset(options) }
  let message = failure?.message ?? ""
  #expect(failure?.code == .badData && message.contains(": 7 problems;"), "\(message)")
  for words in [
    "cannot be read: 2 (coco.json (", "d.xml (", "x.json: image 2 (", "neither JPEG nor PNG: 1 (b/3.webp)", "1 (c)",
    "1 (a/1.png", "1 (boxes.csv:3",
    "not in the way: boxes of pictures that are not there: 1 (boxes.csv:2 (absent.jpg))",
    "x.json: image 3 no.jpg", "other.csv (",
  ] { #expect(message.contains(words), "\(words): \(message)") }
}

@Test(arguments: ["v_1.JPEG,n1\nv_2.JPEG,\"n0\n", "v_1.JPEG,n1\nv_2.JPEG,n0,2\n"])
func aBrokenListOfValidationImagesIsAProblem(text: String) throws {
  let pictures = try PictureFolder().photographs("train/n0/1.JPEG", "train/n1/1.JPEG", "val/v_1.JPEG", "val/v_2.JPEG")
  for name in ["val.txt", "val.csv"] {
    try pictures.text(text, to: name)
    #expect(found(try catalogue(pictures), .badList) == [name])
    unlink("\(pictures.path)/\(name)")
  }
}

@Test func withoutABoxAnAnnotationOfCOCOHasThatOfItsPolygons() throws {
  let pictures = try PictureFolder().photographs("a/1.jpg", "a/2.jpg", "b/3.jpg", "b/4.jpg").text(
    """
    {"images": [{"id": 1, "file_name": "1.jpg"}, {"id": 2, "file_name": "2.jpg"}, {"id": 3, "file_name": "3.jpg"}],
     "categories": [{"id": 1, "name": "a"}],
     "annotations": [
      {"image_id": 1, "category_id": 1, "segmentation": [[2, 3, 8, 4, 5, 12], [6, 1, 11, 2, 7, 5]]},
      {"image_id": 2, "bbox": [], "segmentation": [[1, 1, 4, 1, 4, 6]]},
      {"image_id": 3, "category_id": 1, "segmentation": {"counts": "x", "size": [20, 24]}},
      {"image_id": 3, "category_id": 9, "bbox": [1, 1, 5, 5]},
      {"image_id": 3, "bbox": ["5", "5", "2", "2"]}, {"image_id": 3, "bbox": "5 5 2 2"},
      {"image_id": 3, "bbox": null, "segmentation": [[1, 2, 3]]}]}
    """, to: "x.json")
  let read = try catalogue(pictures)
  #expect(read.images.map(\.box) == [box(2, 1, 9, 11), box(1, 1, 3, 5), nil, nil])
  #expect(
    read.findings[.badEntry].map(\.text) == [
      "x.json: annotation 4 (its category_id is 9, which is none of its categories')",
      "x.json: annotation 5 (its bbox holds what is no number)",
      "x.json: annotation 6 (its bbox is no list of four numbers)",
      "x.json: annotation 7 (its segmentation is no list of polygons, each x, y, x, y and so on)",
    ])
  let none = try PictureFolder().photographs("a/1.jpg").text(
    "{\"images\": [{\"id\": 1, \"file_name\": \"1.jpg\"}], \"annotations\": [{\"image_id\": 1, \"caption\": \"x\"}]}",
    to: "x.json")
  #expect(try catalogue(none).notes.contains("boxes are those of x.json (which has none)"))
}
