import Failures
import Files
import Foundation
import Machine
import Synchronization

/// An HDF5 file of which it is not known who made it: one that a user hands over, and the files of a cache.
///
/// Damaged or hostile metadata can make the library loop or crash, and a digest can be made anew by whoever means harm.
/// So a process of its own looks into the file, with limits on its time and memory (`HDF5Probe`), and tells what is
/// there; values that lie in one piece are then read at their place, and all others by such a process. The library
/// never sees the file in this one.
final class ForeignHDF5: HDF5Reading {
  let path: String
  private let listing: HDF5Listing
  private let byName: [String: HDF5Dataset]
  private let probe: String
  private let descriptor: Int32
  private let size: Int
  /// Of an index, whose values lie in other files; a row has one byte of them.
  private static let mostFlags = 1 << 28
  /// Bytes of values that have been read: at their place, and by a process.
  private var taken = (inPlace: 0, converted: 0)
  /// Values that a process has read beside those that were asked for.
  private var convertedValues: [String: Data] = [:]

  /// Opens a file and learns what is in it.
  ///
  /// - Parameter probe: the `ala` program.
  /// - Throws: `Failure` 65 where it is not sound; 66 where it cannot be read; 69 where somebody holds its lock, or the process
  ///   that is to look cannot.
  convenience init(_ path: String, probe: String) throws {
    try self.init(OpenFile(path), probe: probe) { try Self.list($0, probe: probe) }
  }

  /// Opens several files, which one process looks into unless one of them is not sound.
  static func each(_ paths: [String], probe: String) -> [Result<ForeignHDF5, Failure>] {
    func asFailure(_ path: String) -> (Error) -> Failure { { $0 as? Failure ?? .badData("\(path): \($0)") } }
    let files = paths.map { path in Result { try OpenFile(path) }.mapError(asFailure(path)) }
    let unknown = files.compactMap { try? $0.get() }.filter { file in known.withLock { $0[file.sight] == nil } }
    let names = unknown.map(\.path)
    let together = names.count > 1 ? try? listings(names, probe: probe) : nil
    let byPath = together.map { Dictionary(zip(names, $0)) { first, _ in first } } ?? [:]
    return files.enumerated().map { index, file in
      file.flatMap { file in
        Result {
          try ForeignHDF5(file, probe: probe) { try byPath[$0] ?? list($0, probe: probe) }
        }.mapError(asFailure(paths[index]))
      }
    }
  }

  private init(_ file: OpenFile, probe: String, list: (String) throws -> HDF5Listing) throws {
    path = file.path
    self.probe = probe
    size = file.sight.size
    listing = try Self.known.withLock { $0[file.sight] } ?? Self.listing(of: file, list)
    descriptor = file.take()
    byName = Dictionary(listing.datasets.map { ($0.name, $0) }, uniquingKeysWith: { first, _ in first })
    for dataset in listing.datasets {
      guard let offset = dataset.offset else { continue }
      guard let bytes = dataset.byteCount(as: dataset.type) else {
        throw bad("data set \(dataset.name) of shape \(dataset.shape) is of 1 TiB or more, which is never read")
      }
      guard offset >= 0, bytes <= size, offset <= size - bytes else {
        throw bad("data set \(dataset.name) of shape \(dataset.shape) ends behind the end of the file")
      }
    }
  }

  private static func listing(of file: OpenFile, _ list: (String) throws -> HDF5Listing) throws -> HDF5Listing {
    try HDF5File.checkUnlocked(file.path)
    let listing = try list(file.path)
    guard try OpenFile(file.path).sight.identity == file.sight.identity else {
      throw Failure.badData("\(file.path): is another file than a moment ago; run the command again")
    }
    known.withLock {
      // A process that looks into file after file forgets those of before.
      if $0.count >= mostKnown { $0 = [:] }
      $0[file.sight] = listing
    }
    return listing
  }

  deinit { close(descriptor) }

  private func bad(_ what: String) -> Failure { Failure.badData("\(path): \(what)") }

  // MARK: The process that looks

  /// What has been learnt of files as they were.
  private static let known = Mutex<[FileSight: HDF5Listing]>([:])
  /// More than a cache has shards.
  private static let mostKnown = 4096

  private static func list(_ path: String, probe: String) throws -> HDF5Listing {
    guard let listing = try listings([path], probe: probe).first else {
      throw Failure.badData("\(path): is no sound HDF5 file: what reads it gives no answer")
    }
    return listing
  }

  private static func listings(_ paths: [String], probe: String) throws -> [HDF5Listing] {
    guard let first = paths.first else { return [] }
    let answer = try HDF5Probe.Request.list(paths).ask(of: first, probe: probe)
    guard let listings = try? HDF5Probe.decoder().decode([HDF5Listing].self, from: answer),
      listings.count == paths.count, listings.flatMap(\.datasets).allSatisfy({ $0.shape.allSatisfy { $0 >= 0 } })
    else { throw Failure.badData("\(first): is no sound HDF5 file: what reads it gives no answer") }
    return listings
  }

  // MARK: Reading

  func attributes() -> [String: HDF5Attribute] { listing.attributes }

  /// In the order of their names.
  var datasets: [HDF5Dataset] { listing.datasets }

  func names(in group: String) -> [String]? {
    guard listing.groups.contains(group) else { return nil }
    let start = group == "/" ? "/" : "\(group)/"
    return (listing.groups + listing.datasets.map(\.name)).compactMap { full -> String? in
      guard full.hasPrefix(start), full != group else { return nil }
      let name = full.dropFirst(start.count)
      return name.contains("/") ? nil : String(name)
    }.sorted { Array($0.utf8).lexicographicallyPrecedes(Array($1.utf8)) }
  }

  func dataset(_ name: String) throws -> HDF5Dataset {
    guard let dataset = byName[name.hasPrefix("/") ? name : "/\(name)"] else {
      throw bad("data set \(name) is missing")
    }
    return dataset
  }

  func readArray<Element>(_ name: String, _ type: HDF5Type, of: Element.Type) throws -> [Element] {
    let dataset = try dataset(name)
    guard let bytes = dataset.byteCount(as: type), MemoryLayout<Element>.stride == type.bytes else {
      throw bad("data set \(name) has an impossible shape")
    }
    guard Double(bytes) < MachineMemory.bytes else {
      throw bad("data set \(name) of shape \(dataset.shape) is larger than this machine's memory")
    }
    try take(bytes, of: dataset)
    guard dataset.type == type, let offset = dataset.offset else {
      return try converted(dataset, type, bytes: bytes)
    }
    return try [Element](unsafeUninitializedCapacity: bytes / type.bytes) { buffer, initialized in
      try readFully(
        UnsafeMutableRawBufferPointer(rebasing: UnsafeMutableRawBufferPointer(buffer)[..<bytes]), from: descriptor,
        at: offset, path: path)
      initialized = bytes / type.bytes
    }
  }

  /// Holds what is read against what the file has, for shapes are easily declared: values lie in it once, or twice under
  /// two names; those that are compressed, as weights are, are not smaller by more than this factor.
  ///
  /// - Throws: `Failure` 65, before memory is taken.
  private func take(_ bytes: Int, of dataset: HDF5Dataset) throws {
    let (total, most): (Int, Int)
    if dataset.offset != nil {
      taken.inPlace += dataset.byteCount(as: dataset.type) ?? bytes
      (total, most) = (taken.inPlace, 2 * size)
    } else {
      taken.converted += bytes
      (total, most) = (taken.converted, mostConverted(dataset))
    }
    guard total <= most else {
      throw bad(
        "data set \(dataset.name) of shape \(dataset.shape) would, with those before it, have more values than a file of "
          + "\(size) bytes holds")
    }
  }

  private func mostConverted(_ dataset: HDF5Dataset) -> Int {
    dataset.parts == nil ? 64 * size : Self.mostFlags
  }

  /// Values of another type, or not in one piece: the library converts them in a process of its own, with those of the
  /// same kind in the same group, for a process is dear.
  private func converted<Element>(_ dataset: HDF5Dataset, _ type: HDF5Type, bytes: Int) throws -> [Element] {
    guard bytes > 0 else { return [] }
    func key(_ dataset: HDF5Dataset) -> String { "\(type.rawValue) \(dataset.name)" }
    if convertedValues[key(dataset)] == nil {
      let alike = datasets.filter {
        $0.type == dataset.type && ($0.offset == nil) == (dataset.offset == nil)
          && ($0.name as NSString).deletingLastPathComponent == (dataset.name as NSString).deletingLastPathComponent
      }
      var wanted: [(dataset: HDF5Dataset, bytes: Int)] = [(dataset, bytes)]
      var total = bytes
      for other in alike where other.name != dataset.name {
        guard let more = other.byteCount(as: type), total + more <= min(HDF5Probe.mostBytes, mostConverted(dataset))
        else { continue }
        wanted.append((other, more))
        total += more
      }
      let answer = try HDF5Probe.Request.read(path, datasets: wanted.map(\.dataset.name), type).ask(
        of: path, probe: probe)
      guard answer.count == total else { throw bad("data set \(dataset.name) cannot be read whole") }
      var position = answer.startIndex
      for (one, count) in wanted {
        convertedValues[key(one)] = answer[position..<(position + count)]
        position += count
      }
    }
    guard let values = convertedValues.removeValue(forKey: key(dataset)) else {
      throw bad("data set \(dataset.name) cannot be read whole")
    }
    return [Element](unsafeUninitializedCapacity: bytes / type.bytes) { buffer, initialized in
      values.copyBytes(to: UnsafeMutableRawBufferPointer(buffer), count: bytes)
      initialized = bytes / type.bytes
    }
  }
}

/// A file as it was when it was looked at.
private struct FileSight: Hashable {
  let identity: FileIdentity
  let size: Int
  let changed: [Int]

  init(_ status: stat) {
    identity = FileIdentity(status)
    size = Int(status.st_size)
    changed = [status.st_mtim.tv_sec, status.st_mtim.tv_nsec, status.st_ctim.tv_sec, status.st_ctim.tv_nsec]
  }
}

/// A regular file that is open for reading.
private final class OpenFile {
  let path: String
  let sight: FileSight
  private var descriptor: Int32

  /// - Throws: as `openRegularFile`.
  init(_ path: String) throws {
    self.path = path
    let (descriptor, status) = try openRegularFile(path)
    self.descriptor = descriptor
    sight = FileSight(status)
  }

  /// Hands the descriptor over.
  func take() -> Int32 {
    defer { descriptor = -1 }
    return descriptor
  }

  deinit { if descriptor >= 0 { close(descriptor) } }
}
