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

  public static let fileName = "import.json"

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
  /// What a run would lack.
  public let warnings: [String]
  /// How many files came in which way.
  public let files: [String: Int]
  public let left: [Left]
  private let out: String
  private let leftLines: [String]

  private enum CodingKeys: String, CodingKey {
    case source, images, masks, boxes, train, valid, test, classes, notes, warnings, files, left
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
    warnings = Self.warnings(plan)
    files = Dictionary(uniqueKeysWithValues: transfer.counts.map { ($0.key.rawValue, $0.value) })
    let kinds = findings.kinds(problems: false) + findings.kinds(problems: true)
    left = kinds.map { kind in
      Left(kind: kind.rawValue, reason: kind.words, count: findings[kind].count, names: findings[kind].map(\.text))
    }
    leftLines = findings.lines(problems: false) + findings.lines(problems: true)
  }

  /// What of training and test images is missing, altogether and by class.
  private static func warnings(_ plan: ImportPlan) -> [String] {
    var counts = [(all: Int, train: Int, test: Int)](repeating: (0, 0, 0), count: plan.classes.count)
    for image in plan.images {
      counts[image.label].all += 1
      if image.part == .test { counts[image.label].test += 1 }
      if image.part == .train || (image.part == .valid && !plan.hasOwnValidation) { counts[image.label].train += 1 }
    }
    let hasTest = counts.contains { $0.test > 0 }
    let hasTraining = counts.contains { $0.train > 0 }
    func line(_ words: String, _ isMeant: ((all: Int, train: Int, test: Int)) -> Bool) -> String? {
      let names = counts.indices.filter { isMeant(counts[$0]) }.map { plan.classes[$0].name }
      return names.isEmpty ? nil : "\(words): \(names.count) (\(list(names)))"
    }
    let isDrawn = !plan.hasOwnValidation && hasTraining
    return [
      Split.singleClass(counts.indices.filter { counts[$0].all > 0 }.map { plan.classes[$0].name }),
      hasTest ? nil : "there is no test image, so that nothing can be evaluated",
      hasTraining ? nil : "there is no training image, so that nothing can be trained",
      line("classes of which no image is left") { $0.all == 0 },
      line("classes of a single image, which cannot both train and test") { $0.all == 1 },
      hasTest ? line("classes without a test image") { $0.all > 1 && $0.test == 0 } : nil,
      hasTraining ? line("classes without a training image") { $0.all > 1 && $0.train == 0 } : nil,
      isDrawn && counts.allSatisfy { Split.validCount(of: $0.train) == 0 } ? Split.noValidation : nil,
      DarkMasks.warning(plan.images.compactMap(\.mask)),
    ].compactMap(\.self)
  }

  /// The first of some names, on one line.
  private static func list(_ names: [String]) -> String {
    let named = 10
    return names.prefix(named).map(onOneLine).joined(separator: ", ")
      + (names.count > named ? " and \(names.count - named) more" : "")
  }

  /// For people, but for the warnings.
  public var lines: [String] {
    func count(_ number: Int, _ one: String, _ many: String? = nil) -> String {
      "\(number) \(number == 1 ? one : many ?? one + "s")"
    }
    let names = Self.list(classes.map { "\($0.name) (\($0.images))" })
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
      + ["  classes: \(names)"]
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
