import Metrics
import Failures
import Files
import Foundation
import Storage

/// What `ala evaluate --out` has left in a folder.
public struct EvaluationFolder {
  /// One line of `per_image.csv`, by column.
  public typealias Row = [String: String]

  public let path: String
  public let summary: EvaluationSummary
  public let rows: [Row]
  /// Maps [s·s] by image id, and s.
  public let maps: [Int: [Float]]
  public let mapSide: Int
  /// `cost.json`, as text by key; empty where there is none.
  public let cost: [String: String]

  public var method: String { summary.settings["method"] ?? "ala" }
  public var split: String { summary.settings["split"] ?? "test" }

  /// Pixels of a view's side, as `image.size` may set it.
  private static let sides = 1...4096

  public static func isPresent(_ path: String) -> Bool {
    FileManager.default.fileExists(atPath: "\(path)/summary.json")
  }

  /// - Throws: `Failure` 66 or 65, naming the file.
  public init(_ path: String) throws {
    self.path = path
    let data = try readFile("\(path)/summary.json", most: RunFolder.mostBytes)
    do {
      summary = try JSONDecoder().decode(EvaluationSummary.self, from: Data(data))
    } catch {
      throw Failure.badData("\(path)/summary.json: is not a summary of ala evaluate: \(Self.describe(error))")
    }
    guard Self.sides.contains(summary.side) else {
      throw Failure.badData(
        "\(path)/summary.json: side is \(summary.side); expected from \(Self.sides.lowerBound) to "
          + "\(Self.sides.upperBound) pixels")
    }
    rows = Self.rows(try RunFolder.text("\(path)/per_image.csv"))
    let explanations = "\(path)/explanations.h5"
    (mapSide, maps) =
      FileManager.default.fileExists(atPath: explanations)
      ? try ExplanationsFile.read(explanations) : (0, [:])
    let object = try RunFolder.read("\(path)/cost.json").flatMap {
      try? JSONSerialization.jsonObject(with: Data($0))
    }
    cost = (object as? [String: Any] ?? [:]).mapValues { value in
      (value as? NSNumber).map { String(format: "%.4g", $0.doubleValue) } ?? "\(value)"
    }
  }

  private static func describe(_ error: Error) -> String {
    switch error {
    case DecodingError.keyNotFound(let key, _): "key \(key.stringValue) is missing"
    case DecodingError.typeMismatch(_, let context), DecodingError.valueNotFound(_, let context):
      "key \(context.codingPath.map(\.stringValue).joined(separator: ".")) has another type"
    case DecodingError.dataCorrupted(let context) where !context.codingPath.isEmpty:
      "key \(context.codingPath.map(\.stringValue).joined(separator: ".")) \(context.debugDescription)"
    default: "it is no JSON object"
    }
  }

  private static func rows(_ text: String) -> [Row] {
    let lines = text.split(whereSeparator: \.isNewline)
    guard let header = lines.first?.split(separator: ",", omittingEmptySubsequences: false).map(String.init) else {
      return []
    }
    return lines.dropFirst().map { line in
      let cells = line.split(separator: ",", omittingEmptySubsequences: false).map(String.init)
      return Dictionary(zip(header, cells), uniquingKeysWith: { first, _ in first })
    }
  }
}
