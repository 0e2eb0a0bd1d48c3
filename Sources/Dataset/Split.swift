import Failures
import Files
import Foundation
import ImageFolders
import Randomness

/// Which images train, validate and test (docs/model.md, "Data and order"). Lists are ascending.
public struct Split: Equatable, Sendable, Codable {
  public let train: [Int]
  public let valid: [Int]
  public let test: [Int]

  public init(train: [Int], valid: [Int], test: [Int]) {
    self.train = train
    self.valid = valid
    self.test = test
  }

  /// The official test half tests. Of each class's n other images ⌈5n/6⌉, drawn by the split's own seed, train and
  /// the rest validate: the first of a permutation of the ids in ascending order, stream `split`, index the class id.
  /// A data set that says itself which images validate is split so.
  public init(_ dataset: ImageDataset, seed: UInt64) throws {
    var train = dataset.hasOwnValidation ? dataset.images.filter { !$0.isTest && !$0.isValidation }.map(\.id) : []
    var valid = dataset.images.filter(\.isValidation).map(\.id)
    for (label, entry) in dataset.classes.enumerated() where !dataset.hasOwnValidation {
      let ids = dataset.images.filter { $0.label == label && !$0.isTest }.map(\.id).sorted()
      var stream = RandomStream(seed: seed, name: "split", index: UInt64(entry.id))
      let order = stream.permutation(ids.count)
      let validCount = Self.validCount(of: ids.count)
      train += order.dropLast(validCount).map { ids[$0] }
      valid += order.suffix(validCount).map { ids[$0] }
    }
    guard !train.isEmpty else { throw Failure.badData("\(dataset.root): has no training image") }
    self.init(
      train: train.sorted(), valid: valid.sorted(), test: dataset.images.filter(\.isTest).map(\.id).sorted())
  }

  /// How many of a class's images validate that do not test, where the data set does not say which.
  static func validCount(of count: Int) -> Int { count - (5 * count + 5) / 6 }

  /// What to say where none is drawn.
  public static let noValidation =
    "there is no validation image: of a class's images that do not test a sixth validates, rounded down, which is none of "
    + "up to five; no epoch is the best then (no best.h5), and training.patience ends nothing"

  /// What to say of a set of one class; nil of others.
  ///
  /// - Parameter names: of the classes that have images.
  static func singleClass(_ names: [String]) -> String? {
    guard names.count == 1 else { return nil }
    return "there is a single class, \(onOneLine(names[0])): accuracy says nothing where nothing else can be answered"
  }

  /// `{"train": [ids], "valid": [ids], "test": [ids]}`.
  public var json: String {
    func list(_ ids: [Int]) -> String { "[" + ids.map(String.init).joined(separator: ", ") + "]" }
    return "{\"train\": \(list(train)), \"valid\": \(list(valid)), \"test\": \(list(test))}\n"
  }

  /// Of a list of a hundred million ids.
  private static let mostBytes = 1 << 30

  /// Reads a `split.json`.
  ///
  /// - Throws: `Failure` 66 or 65, naming the file.
  public static func read(path: String) throws -> Split {
    let bytes = try readFile(path, most: mostBytes)
    do {
      return try JSONDecoder().decode(Split.self, from: Data(bytes))
    } catch {
      throw Failure.badData("\(path): is not a split file; expected lists of ids named train, valid and test")
    }
  }
}

/// The order in which an epoch (from 1) goes through the training images: a pure function of (seed, epoch).
public func epochOrder(_ trainIDs: [Int], seed: UInt64, epoch: Int) -> [Int] {
  var stream = RandomStream(seed: seed, name: "order", index: UInt64(epoch))
  return stream.permutation(trainIDs.count).map { trainIDs[$0] }
}
