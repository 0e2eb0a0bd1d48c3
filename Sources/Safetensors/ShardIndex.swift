import Failures
import Files
import Foundation

/// The index of a sharded file: `{"metadata": {…}, "weight_map": {TENSOR: FILE}}`, files named from its own folder.
public struct ShardIndex: Sendable {
  let path: String
  let metadata: [String: String]
  /// Paths of the shards, in the byte order of their names.
  let shards: [String]
  /// Names of tensors, by the shard's path.
  private let names: [String: Set<String>]

  private static let largest = 100_000_000

  /// - Returns: nil for a file that is no JSON object with a `weight_map`.
  /// - Throws: `Failure` 65 for a map that is no map of names to files in the index's folder, or names torch's files.
  init?(_ bytes: UnsafeRawBufferPointer, path: String) throws {
    guard let first = bytes.prefix(64).first(where: { ![0x20, 0x09, 0x0A, 0x0D].contains($0) }),
      first == UInt8(ascii: "{"), bytes.count <= Self.largest, !SafetensorsHeader.isBeginning(bytes),
      let object = try? JSONSerialization.jsonObject(with: Data(bytes)) as? [String: Any],
      let map = object["weight_map"]
    else { return nil }
    guard let files = map as? [String: String], !files.isEmpty else {
      throw Failure.badData("\(path): weight_map is not a map of tensors' names to files")
    }
    self.path = path
    metadata = (object["metadata"] as? [String: Any] ?? [:]).compactMapValues { $0 as? String }
    let folder = parentFolder(of: path)
    var names: [String: Set<String>] = [:]
    for (tensor, file) in files {
      guard !file.isEmpty, !file.hasPrefix("/"), !file.split(separator: "/").contains("..") else {
        throw Failure.badData("\(path): weight_map names the file \"\(file)\", which is not in the index's own folder")
      }
      guard ![".bin", ".pt", ".pth"].contains(where: file.hasSuffix) else {
        throw Failure.badData(
          "\(path): is the index of torch's files (\(file), …): convert them by scripts/convert-weights")
      }
      names[folder.isEmpty ? file : "\(folder)/\(file)", default: []].insert(tensor)
    }
    self.names = names
    shards = names.keys.sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }
  }

  /// - Throws: `Failure` 66 naming the shard and the index.
  func map(_ shard: String) throws -> MappedMemory {
    do {
      return try MappedMemory(file: shard)
    } catch let failure as Failure {
      throw Failure(failure.code, "\(failure.message) (a shard of \(path))")
    }
  }

  /// The tensors of a shard, which are those that the index says.
  func tensors(of shard: String, _ bytes: UnsafeRawBufferPointer) throws -> [SafetensorsFile.Tensor] {
    let found = try SafetensorsHeader(bytes, path: shard).tensors
    let expected = names[shard] ?? []
    if let missing = expected.subtracting(found.keys).min() {
      throw Failure.badData("\(shard): tensor \(missing) is missing, which \(path) says is there")
    }
    if let other = Set(found.keys).subtracting(expected).min() {
      throw Failure.badData(
        "\(shard): tensor \(other) is not in the shard's list in \(path): they do not belong together")
    }
    return Array(found.values)
  }

  /// Whether a file is one of several shards, by its name or by an index beside it that names it.
  ///
  /// - Returns: what to give instead, as the end of a sentence; nil for a whole file.
  public static func whatToGiveInstead(ofShard path: String) -> String? {
    let folder = parentFolder(of: path)
    let name = (path as NSString).lastPathComponent
    let files = (try? FileManager.default.contentsOfDirectory(atPath: folder.isEmpty ? "." : folder)) ?? []
    for file in files.sorted() where file.hasSuffix(".index.json") {
      let place = folder.isEmpty ? file : "\(folder)/\(file)"
      guard let memory = try? MappedMemory(file: place), let index = try? ShardIndex(memory.bytes, path: place),
        index.shards.count > 1, index.shards.contains(folder.isEmpty ? name : "\(folder)/\(name)")
      else { continue }
      return "give \(place)"
    }
    // Shards are called NAME-00001-of-00003.safetensors.
    guard let match = name.wholeMatch(of: #/.*-([0-9]{5})-of-([0-9]{5})\.safetensors/#), let count = Int(match.2),
      count > 1
    else { return nil }
    return "give the index (…index.json) that belongs to it, with all \(count) shards beside it"
  }
}
