import Failures
import Files
import Foundation
import Machine

/// `explanations.h5`: the maps of a list of images as a method produced them, and the model's probabilities.
public struct ExplanationsFile {
  /// The data set's ids; empty where the images are files of no data set.
  public let imageIDs: [Int]
  /// s.
  public let side: Int
  /// [s·s] of each image.
  public let maps: [[Float]]
  /// p(ŷ) [C] of each image; empty in a file that has been read.
  public let probabilities: [[Float]]

  public init(imageIDs: [Int], side: Int, maps: [[Float]], probabilities: [[Float]]) {
    precondition(maps.allSatisfy { $0.count == side * side } && probabilities.count == maps.count)
    self.imageIDs = imageIDs
    self.side = side
    self.maps = maps
    self.probabilities = probabilities
  }

  /// Data sets `map` [n, s, s] and `probability` [n, C] float32, and `image_id` [n] int32 where there are ids.
  ///
  /// - Throws: `Failure` 73.
  public func write(to path: String, attributes: [(name: String, value: HDF5Attribute)]) throws {
    try makeAtomically(path) { temporary in
      let file = try HDF5File.create(temporary, for: path)
      let n = maps.count
      if !imageIDs.isEmpty {
        try file.makeDataset("image_id", .int32, shape: [n])
        try file.write("image_id", .int32, imageIDs.map { Int32($0) })
      }
      try file.makeDataset("map", .float32, shape: [n, side, side])
      try file.write("map", .float32, maps.flatMap { $0 })
      try file.makeDataset("probability", .float32, shape: [n, probabilities.first?.count ?? 0])
      try file.write("probability", .float32, probabilities.flatMap { $0 })
      try file.write(attributes)
      try file.close()
    }
  }

  /// Of a map, as `image.size` may set it.
  private static let sides = 1...4096

  /// The maps by image id.
  ///
  /// - Throws: `Failure` 66 or 65.
  public static func read(_ path: String) throws -> (side: Int, maps: [Int: [Float]]) {
    let file = try ForeignHDF5(path, probe: ChildProcess.ownProgram)
    let listed = try file.dataset("image_id").shape
    guard listed.count == 1 else {
      throw Failure.badData("\(path): data set image_id has shape \(listed); expected [images]")
    }
    let shape = try file.dataset("map").shape
    guard shape.count == 3, shape[0] == listed[0], shape[1] == shape[2], Self.sides.contains(shape[1]) else {
      throw Failure.badData(
        "\(path): data set map has shape \(shape); expected [\(listed[0]), side, side], side from "
          + "\(Self.sides.lowerBound) to \(Self.sides.upperBound)")
    }
    let ids = try file.readArray("image_id", .int32, of: Int32.self)
    let values = try file.readArray("map", .float32, of: Float.self)
    let size = shape[1] * shape[2]
    let maps = Dictionary(
      ids.enumerated().map { (Int($1), Array(values[($0 * size)..<(($0 + 1) * size)])) },
      uniquingKeysWith: { first, _ in first })
    return (shape[1], maps)
  }
}
