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
  /// Sizes that the file tells of pictures, of which it may have no box.
  let sizes: [(name: String, width: Double, height: Double)]
  /// Whether all numbers are shares of the picture's sides.
  let isNormalised: Bool

  private static let mostJSONBytes = 1 << 30

  /// - Parameter path: a CSV, a JSON, an XML, or a folder of XML files.
  /// - Throws: `Failure` 66 where there is no file, 65 where it is none of these.
  init(path: String) throws {
    var status = stat()
    guard stat(path, &status) == 0 else { throw Failure.missingInput("\(path): is missing") }
    if status.st_mode & S_IFMT == S_IFDIR {
      let files = try FolderTree(path, followsLinks: true).others.filter { ending(of: $0).lowercased() == "xml" }
      guard !files.isEmpty else { throw Failure.badData("\(path): is a folder without XML files of boxes") }
      try self.init(annotations: files, in: path)
    } else if ending(of: path).lowercased() == "xml" {
      let place = folder(of: path)
      try self.init(annotations: [lastPart(of: path)], in: place.isEmpty ? "." : place)
    } else if ending(of: path).lowercased() == "json" {
      try self.init(coco: try Self.json(path), path: path)
    } else {
      try self.init(try CSVTable(path: path))
    }
  }

  private init(path: String, boxes: [ListedBox], sizes: [(name: String, width: Double, height: Double)]) {
    (self.path, self.boxes, self.sizes) = (path, boxes, sizes)
    // A box of one pixel at most in every picture is none.
    let slack = 1.001
    isNormalised = !boxes.isEmpty && boxes.allSatisfy { $0.numbers.allSatisfy { (0...slack).contains($0) } }
  }

  // MARK: XML

  /// - Parameters:
  ///   - files: XML files, each of the picture that has its name, relative to `root`.
  /// - Throws: `Failure` 65 for one that is no annotation.
  init(annotations files: [String], in root: String) throws {
    var (boxes, sizes): ([ListedBox], [(name: String, width: Double, height: Double)]) = ([], [])
    for file in files {
      let annotation = try AnnotationXML(path: "\(root)/\(file)")
      if let size = annotation.size { sizes.append((stem(of: file), size.width, size.height)) }
      boxes += annotation.objects.map { object in
        ListedBox(
          name: stem(of: file), numbers: object.corners, form: .corners, size: nil, label: object.label, place: file)
      }
    }
    self.init(path: root, boxes: boxes, sizes: sizes)
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
  private static func columns(_ table: CSVTable) -> (columns: [Int], form: ListedBox.Form)? {
    func four(_ names: [[String]]) -> [Int]? {
      let columns = names.compactMap { table.column($0) }
      return columns.count == 4 && Set(columns).count == 4 ? columns : nil
    }
    // Corners before sizes: width and height beside them are the picture's.
    return four([xNames, yNames, rightNames, bottomNames]).map { ($0, .corners) }
      ?? four([centreXNames, centreYNames, widthNames, heightNames]).map { ($0, .centreAndSize) }
      ?? four([xNames, yNames, widthNames, heightNames]).map { ($0, .cornerAndSize) }
  }

  static func hasColumns(_ table: CSVTable) -> Bool {
    table.column(LabelList.pathNames) != nil && columns(table) != nil
  }

  private init(_ table: CSVTable) throws {
    guard let pathColumn = table.column(LabelList.pathNames), let (columns, form) = Self.columns(table) else {
      throw Failure.badData(
        "\(table.path): has the columns \(table.rows[0].fields.joined(separator: ", ")); expected path and "
          + "x, y, width, height, or path and xmin, ymin, xmax, ymax")
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
    self.init(path: table.path, boxes: boxes, sizes: [])
  }

  // MARK: COCO

  private static func json(_ path: String) throws -> Any {
    var status = stat()
    guard stat(path, &status) == 0, status.st_mode & S_IFMT == S_IFREG, status.st_size <= mostJSONBytes,
      let data = FileManager.default.contents(atPath: path)
    else { throw Failure.badData("\(path): is not a readable file of a sane size") }
    do {
      return try JSONSerialization.jsonObject(with: data)
    } catch {
      throw Failure.badData("\(path): is not sound JSON")
    }
  }

  /// Whether a file is COCO's, as far as its first level tells.
  static func isCOCO(_ path: String) -> Bool {
    guard let root = try? json(path) as? [String: Any] else { return false }
    return root["images"] is [Any] && root["annotations"] is [Any]
  }

  private init(coco root: Any, path: String) throws {
    func wrong(_ what: String) -> Failure {
      Failure.badData("\(path): \(what); expected COCO's images and annotations")
    }
    guard let root = root as? [String: Any], let images = root["images"] as? [[String: Any]],
      let annotations = root["annotations"] as? [[String: Any]]
    else { throw wrong("has no lists of images and annotations") }
    var names: [Int: String] = [:]
    var sizes: [(name: String, width: Double, height: Double)] = []
    for image in images {
      guard let id = Self.integer(image["id"]), let name = image["file_name"] as? String else {
        throw wrong("has an image without id and file_name")
      }
      guard names.updateValue(name, forKey: id) == nil else { throw wrong("gives two images the id \(id)") }
      if let width = Self.number(image["width"]), let height = Self.number(image["height"]) {
        sizes.append((name, width, height))
      }
    }
    var labels: [Int: String] = [:]
    for category in root["categories"] as? [[String: Any]] ?? [] {
      if let id = Self.integer(category["id"]), let name = category["name"] as? String { labels[id] = name }
    }
    var boxes: [ListedBox] = []
    for (index, annotation) in annotations.enumerated() {
      // Keypoints and captions have none.
      guard let numbers = annotation["bbox"] as? [Any] else { continue }
      guard let id = Self.integer(annotation["image_id"]), let name = names[id] else {
        throw wrong("annotation \(index + 1) is of an image that is not among its images")
      }
      boxes.append(
        ListedBox(
          name: name, numbers: numbers.map { Self.number($0) ?? .nan }, form: .cornerAndSize, size: nil,
          label: Self.integer(annotation["category_id"]).flatMap { labels[$0] },
          place: "\(lastPart(of: path)): annotation \(Self.integer(annotation["id"]) ?? index + 1)"))
    }
    self.init(path: path, boxes: boxes, sizes: sizes)
  }

  private static func number(_ value: Any?) -> Double? { (value as? NSNumber)?.doubleValue }

  private static func integer(_ value: Any?) -> Int? {
    (value as? NSNumber).flatMap { Int(exactly: $0.doubleValue) }
  }
}
