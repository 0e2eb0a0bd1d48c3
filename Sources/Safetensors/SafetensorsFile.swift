import Digests
import Failures
import Files
import Foundation

/// The tensors of a safetensors file, mapped read-only, or of several that an index (`…safetensors.index.json`) makes
/// one. Files are untrusted input: every rule of the format is checked before a byte is used.
public final class SafetensorsFile: Sendable {
  public struct Tensor: Sendable {
    public let name: String
    /// "F32", "F16", "BF16", …
    public let type: String
    public let shape: [Int]
    /// Offsets from the start of the file that holds it.
    public let bytes: Range<Int>
    /// Which of the files that is.
    var part = 0
  }

  /// The file, or the index.
  public let path: String
  public let tensors: [String: Tensor]
  public let metadata: [String: String]
  private let parts: [(path: String, memory: MappedMemory)]
  private let isSharded: Bool

  /// Maps and checks the file, or an index and all its shards.
  ///
  /// - Throws: `Failure` 66 where there is no such file or shard, 65 where one breaks a rule of the format, is of
  ///   another format (which the message names), or does not hold what the index says.
  public init(path: String) throws {
    self.path = path
    if let file = Self.fileToName(inFolder: path) {
      throw Failure.badData("\(path): is a folder; name a file in it\(file)")
    }
    let memory = try MappedMemory(file: path)
    guard let index = try ShardIndex(memory.bytes, path: path) else {
      let header = try SafetensorsHeader(memory.bytes, path: path)
      (tensors, metadata, parts, isSharded) = (header.tensors, header.metadata, [(path, memory)], false)
      return
    }
    var tensors: [String: Tensor] = [:]
    parts = try index.shards.enumerated().map { part, shard in
      let memory = try index.map(shard)
      for tensor in try index.tensors(of: shard, memory.bytes) {
        tensors[tensor.name] = Tensor(
          name: tensor.name, type: tensor.type, shape: tensor.shape, bytes: tensor.bytes, part: part)
      }
      return (shard, memory)
    }
    (self.tensors, metadata, isSharded) = (tensors, index.metadata, true)
  }

  /// What to name instead of a folder, as the end of a sentence: an index comes before the files that it is of. nil for what
  /// is no folder.
  private static func fileToName(inFolder path: String) -> String? {
    var isFolder: ObjCBool = false
    guard FileManager.default.fileExists(atPath: path, isDirectory: &isFolder), isFolder.boolValue else { return nil }
    let names = ((try? FileManager.default.contentsOfDirectory(atPath: path)) ?? []).sorted()
    let found = [".safetensors.index.json", ".safetensors"].lazy.compactMap { ending in
      names.first { $0.hasSuffix(ending) }
    }.first
    return found.map { ", such as \($0)" } ?? ""
  }

  /// The bytes of a tensor.
  public func bytes(of tensor: Tensor) -> UnsafeRawBufferPointer {
    UnsafeRawBufferPointer(rebasing: parts[tensor.part].memory.bytes[tensor.bytes])
  }

  /// The file that holds a tensor: a shard where there are several.
  public func path(of tensor: Tensor) -> String { parts[tensor.part].path }

  /// Gives back the memory of pages that have been looked at; they are read again when used.
  public func forgetPages(of tensor: Tensor) { parts[tensor.part].memory.forgetPages(tensor.bytes) }

  /// Identifies weights: the SHA-256 of a file's bytes; of sharded ones that of the index's bytes, then the shards'
  /// in the byte order of their names.
  ///
  /// - Throws: `Failure` 66 or 65 where reading fails.
  public func sha256() throws -> String {
    let hash = SHA256()
    if isSharded { try hash.update(file: path) }
    for part in parts { try hash.update(file: part.path) }
    return hash.finish()
  }

  /// The same of a file that is not open; it is checked before what may be large is read.
  ///
  /// - Throws: `Failure` as `init` and `sha256()`.
  public static func sha256(path: String) throws -> String { try SafetensorsFile(path: path).sha256() }

  /// Whether a file is the index of a sharded one, right or wrong.
  public static func isIndex(path: String) -> Bool {
    guard let memory = try? MappedMemory(file: path) else { return false }
    do {
      return try ShardIndex(memory.bytes, path: path) != nil
    } catch {
      return true
    }
  }
}
