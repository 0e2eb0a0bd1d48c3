import Foundation
import ImageFolders

/// What an import took and left, and why; `import.json` in the data set's folder.
public struct ImportReport: Encodable, Sendable {
  public struct Class: Encodable, Sendable {
    public let id: Int
    public let name: String
    public let images: Int
  }

  /// Files that were left, or are told of, for one reason.
  public struct Left: Encodable, Sendable {
    public let kind: String
    /// In words.
    public let reason: String
    public let count: Int
    public let names: [String]
  }

  static let fileName = "import.json"

  public let source: String
  public let images: Int
  public let masks: Int
  public let boxes: Int
  public let train: Int
  /// Null where validation images are drawn when a run starts.
  public let valid: Int?
  public let test: Int
  public let classes: [Class]
  /// How the folder was understood.
  public let notes: [String]
  /// How many files came in which way.
  public let files: [String: Int]
  public let left: [Left]
  private let out: String
  private let leftLines: [String]

  private enum CodingKeys: String, CodingKey {
    case source, images, masks, boxes, train, valid, test, classes, notes, files, left
  }

  init(
    _ plan: ImportPlan, options: DatasetOptions, out: String, notes: [String], findings: Findings,
    transfer: FileTransfer
  ) {
    (source, self.out) = (options.root, out)
    images = plan.images.count
    masks = plan.images.count { $0.mask != nil }
    boxes = plan.images.count { $0.box != nil }
    train = plan.images.count { $0.part == .train || (!plan.hasOwnValidation && $0.part == .valid) }
    valid = plan.hasOwnValidation ? plan.images.count { $0.part == .valid } : nil
    test = plan.images.count { $0.part == .test }
    var counts = [Int](repeating: 0, count: plan.classes.count)
    for image in plan.images { counts[image.label] += 1 }
    classes = plan.classes.enumerated().map { Class(id: $1.id, name: $1.name, images: counts[$0]) }
    self.notes = notes + (transfer.reason.map { ["files that could not be linked (\($0)) were copied"] } ?? [])
    files = Dictionary(uniqueKeysWithValues: transfer.counts.map { ($0.key.rawValue, $0.value) })
    let kinds = findings.kinds(problems: false) + findings.kinds(problems: true)
    left = kinds.map { kind in
      Left(kind: kind.rawValue, reason: kind.words, count: findings[kind].count, names: findings[kind].map(\.text))
    }
    leftLines = findings.lines(problems: false) + findings.lines(problems: true)
  }

  /// For people.
  public var lines: [String] {
    func count(_ number: Int, _ one: String, _ many: String? = nil) -> String {
      "\(number) \(number == 1 ? one : many ?? one + "s")"
    }
    let named = 10
    let names = classes.prefix(named).map { "\($0.name) (\($0.images))" }.joined(separator: ", ")
    let parts = "\(train) train\(valid.map { ", \($0) validate" } ?? ""), \(test) test"
    let ways = files.sorted { $0.key < $1.key }.map { way, number in
      switch FileTransfer.Kind(rawValue: way) {
      case .hardLink: count(number, "hard link")
      case .symbolicLink: count(number, "symbolic link")
      default: count(number, "copy", "copies")
      }
    }
    return [
      "\(out): \(count(images, "image")) of \(count(classes.count, "class", "classes")) (\(parts)), "
        + "\(count(masks, "mask")), \(count(boxes, "box", "boxes")); \(ways.joined(separator: ", "))"
    ] + notes.map { "  \($0)" }
      + ["  classes: \(names)\(classes.count > named ? " and \(classes.count - named) more" : "")"]
      + (leftLines.isEmpty
        ? ["nothing was left"] : ["left, or worth a look (all names are in \(out)/\(Self.fileName)):"])
      + leftLines.map { "  \($0)" }
  }

  /// `import.json`.
  public func json() throws -> String {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
    return String(decoding: try encoder.encode(self), as: UTF8.self) + "\n"
  }
}
