import Failures
import Foundation

/// A box as a file of annotations has it.
struct ListedBox {
  /// The picture's name there.
  let name: String
  /// x, y, width, height, as written; or x0, y0, x1, y1, or the centre in place of the corner.
  let numbers: [Double]
  let form: Form
  /// The picture's size as the file tells it.
  let size: (width: Double, height: Double)?
  /// The class that it is of; nil where it is not told.
  let label: String?
  /// File and line, or the annotation's number, for messages.
  let place: String

  enum Form {
    case cornerAndSize
    case corners
    case centreAndSize
  }

  /// x, y, width, height in pixels of a picture.
  ///
  /// - Parameter scale: the picture's width and height where the numbers are shares of them, else 1 and 1.
  /// - Returns: nil where these are no finite numbers, or the box has no area.
  func pixels(scale: (Double, Double)) -> [Double]? {
    guard numbers.count == 4, numbers.allSatisfy({ $0.isFinite && abs($0) < 1e7 }) else { return nil }
    let n = [numbers[0] * scale.0, numbers[1] * scale.1, numbers[2] * scale.0, numbers[3] * scale.1]
    let box: [Double] =
      switch form {
      case .cornerAndSize: n
      case .corners: [n[0], n[1], n[2] - n[0], n[3] - n[1]]
      case .centreAndSize: [n[0] - n[2] / 2, n[1] - n[3] / 2, n[2], n[3]]
      }
    return box[2] > 0 && box[3] > 0 ? box : nil
  }
}

/// The boxes of a file: a CSV, or COCO's JSON; or of a folder's XML files.
struct BoxFile {
  let path: String
  let boxes: [ListedBox]
  /// Pictures that the file names beside its boxes; it may have no box of them.
  let pictures: [Picture]
  /// Entries that say nothing certain: where they stand, and why.
  let badEntries: [(place: String, words: String)]
  /// Whether all numbers are shares of the picture's sides.
  let isNormalised: Bool
  /// Headings of a table that stand for nothing known.
  private(set) var unusedColumns: [String] = []

  struct Picture {
    let name: String
    /// As the file tells it.
    let size: (width: Double, height: Double)?
    /// Where it is named, for messages.
    let place: String
  }

  /// - Parameter path: a CSV, a JSON, an XML, or a folder of XML files.
  /// - Throws: `Failure` 66 where there is no file, 65 where it is none of these.
  init(path: String) throws {
    var status = stat()
    guard stat(path, &status) == 0 else { throw Failure.missingInput("\(path): is missing") }
    if status.st_mode & S_IFMT == S_IFDIR {
      let files = try FolderTree(path, followsLinks: true).others.filter { ending(of: $0).lowercased() == "xml" }
      guard !files.isEmpty else { throw Failure.badData("\(path): is a folder without XML files of boxes") }
      try self.init(annotations: files, in: path) { throw $1 }
    } else if ending(of: path).lowercased() == "xml" {
      let place = folder(of: path)
      try self.init(annotations: [lastPart(of: path)], in: place.isEmpty ? "." : place) { throw $1 }
    } else if ending(of: path).lowercased() == "json" {
      try self.init(coco: path)
    } else {
      try self.init(try CSVTable(path: path))
    }
  }

  init(
    path: String, boxes: [ListedBox], pictures: [Picture], badEntries: [(place: String, words: String)] = []
  ) {
    (self.path, self.boxes, self.pictures, self.badEntries) = (path, boxes, pictures, badEntries)
    // A box of one pixel at most in every picture is none.
    let slack = 1.001
    isNormalised = !boxes.isEmpty && boxes.allSatisfy { $0.numbers.allSatisfy { (0...slack).contains($0) } }
  }

  // MARK: XML

  /// - Parameters:
  ///   - files: XML files, each of the picture that has its name, relative to `root`.
  ///   - take: is told of one that is no annotation, by `Failure` 65.
  /// - Throws: what `take` throws.
  init(annotations files: [String], in root: String, brokenOnes take: (String, Failure) throws -> Void) throws {
    var (boxes, pictures): ([ListedBox], [Picture]) = ([], [])
    for file in files {
      let annotation: AnnotationXML
      do {
        annotation = try AnnotationXML(path: "\(root)/\(file)")
      } catch let failure as Failure {
        try take(file, failure)
        continue
      }
      pictures.append(Picture(name: stem(of: file), size: annotation.size, place: file))
      boxes += annotation.objects.map { object in
        ListedBox(
          name: stem(of: file), numbers: object.corners, form: .corners, size: nil, label: object.label, place: file)
      }
    }
    self.init(path: root, boxes: boxes, pictures: pictures)
  }

  // MARK: CSV

  private static let xNames = ["x", "x_min", "xmin", "x0", "x1", "left", "bbox_x"]
  private static let yNames = ["y", "y_min", "ymin", "y0", "y1", "top", "bbox_y"]
  private static let rightNames = ["x_max", "xmax", "x2", "x1", "right"]
  private static let bottomNames = ["y_max", "ymax", "y2", "y1", "bottom"]
  private static let centreXNames = ["x_center", "x_centre", "xcenter", "cx", "xc", "center_x"]
  private static let centreYNames = ["y_center", "y_centre", "ycenter", "cy", "yc", "center_y"]
  private static let widthNames = ["w", "width", "box_width", "bbox_width", "bbox_w"]
  private static let heightNames = ["h", "height", "box_height", "bbox_height", "bbox_h"]
  private static let imageWidthNames = ["image_width", "img_width", "image_w", "original_width"]
  private static let imageHeightNames = ["image_height", "img_height", "image_h", "original_height"]

  /// The columns of a box's four numbers, and what they are.
  private static func columns(_ fields: [String]) -> (columns: [Int], form: ListedBox.Form)? {
    func four(_ names: [[String]]) -> [Int]? {
      let columns = names.compactMap { CSVTable.column($0, of: fields) }
      return columns.count == 4 && Set(columns).count == 4 ? columns : nil
    }
    // Corners before sizes: width and height beside them are the picture's.
    return four([xNames, yNames, rightNames, bottomNames]).map { ($0, .corners) }
      ?? four([centreXNames, centreYNames, widthNames, heightNames]).map { ($0, .centreAndSize) }
      ?? four([xNames, yNames, widthNames, heightNames]).map { ($0, .cornerAndSize) }
  }

  static func hasColumns(_ table: CSVTable) -> Bool { hasHeadings(table.rows[0].fields) }

  /// Whether a file's first line has the columns of such a list.
  static func hasHeadings(_ fields: [String]) -> Bool {
    CSVTable.column(LabelList.pathNames, of: fields) != nil && columns(fields) != nil
  }

  static func wrongColumns(_ table: CSVTable) -> String {
    "has the columns \(table.rows[0].fields.joined(separator: ", ")); expected path and x, y, width, height, or path and "
      + "xmin, ymin, xmax, ymax"
  }

  /// - Throws: `Failure` 65 where it has other columns.
  init(_ table: CSVTable) throws {
    guard let pathColumn = table.column(LabelList.pathNames), let (columns, form) = Self.columns(table.rows[0].fields)
    else {
      throw Failure.badData("\(table.path): \(Self.wrongColumns(table))")
    }
    let isCorners = if case .corners = form { true } else { false }
    let width = table.column(Self.imageWidthNames + (isCorners ? Self.widthNames : []))
    let height = table.column(Self.imageHeightNames + (isCorners ? Self.heightNames : []))
    let label = table.column(LabelList.labelNames)
    let boxes = table.rows.dropFirst().map { row in
      // With a comma for the point, as some spreadsheets write numbers; no number becomes NaN, which is no box.
      func number(_ column: Int) -> Double { Double(row.fields[column].replacing(",", with: ".")) ?? .nan }
      var size: (Double, Double)?
      if let width, let height { size = (number(width), number(height)) }
      return ListedBox(
        name: row.fields[pathColumn], numbers: columns.map(number), form: form, size: size,
        label: label.map { row.fields[$0] }, place: "\(lastPart(of: table.path)):\(row.line)")
    }
    self.init(path: table.path, boxes: boxes, pictures: [])
    unusedColumns = table.headings(without: columns + [pathColumn, width, height, label].compactMap(\.self))
  }
}
