import Digests
import Failures
import Files
import Foundation

/// One file of the feature cache (docs/formats.md, "Feature cache"). HDF5 makes the file, with all room taken; after
/// that its contiguous data sets are read and written at their offsets, so that a kill can never hurt its metadata.
final class CacheShard: @unchecked Sendable {
  let path: String
  let layout: CacheLayout
  private(set) var rows: [CacheRow]
  /// 1 where a row is durable.
  private(set) var written: [UInt8]
  private let descriptor: Int32
  private let offsets: [String: Int]
  /// A row's payload piece by piece: pixels, layers, tail; each with its data set's place in the file.
  private let parts: [(offset: Int, bytes: Int)]

  /// Bytes that are checked right after they are read, while the processor's cache holds them.
  private static let pieceBytes = 128 << 10

  /// Makes a new shard with room for `rows`, none of them written.
  static func create(
    _ path: String, layout: CacheLayout, rows: [CacheRow], attributes: [(name: String, value: HDF5Attribute)]
  ) throws {
    try makeAtomically(path) { temporary in
      let file = try HDF5File.create(temporary, for: path)
      for dataset in layout.datasets(rows: rows.count) {
        try file.makeDataset(dataset.name, dataset.type, shape: dataset.shape)
      }
      try file.write("image_id", .int32, rows.map(\.imageID))
      try file.write("view", .int32, rows.map(\.view))
      try file.write("written", .uint8, [UInt8](repeating: 0, count: rows.count))
      try file.write(attributes)
      try file.close()
    }
  }

  /// Opens a shard.
  ///
  /// - Throws: `Failure` 66 or 65; 73 where it shall be written, and may not be.
  init(_ file: ForeignHDF5, layout: CacheLayout, isWritable: Bool) throws {
    path = file.path
    self.layout = layout
    let listed = try file.dataset("image_id").shape
    guard listed.count == 1, let count = listed.first else {
      throw Failure.badData("\(path): data set image_id has shape \(listed); expected [rows]")
    }
    var offsets: [String: Int] = [:]
    var taken: [Range<Int>] = []
    for expected in layout.datasets(rows: count) {
      let found = try file.dataset(expected.name)
      let bytes = found.byteCount(as: found.type) ?? 0
      // Of no rows there is no place.
      guard found.shape == expected.shape, found.type == expected.type,
        let offset = found.offset ?? (bytes == 0 ? 0 : nil)
      else {
        throw Failure.badData(
          "\(path): data set \(expected.name) is \(found.type.rawValue) \(found.shape); expected a contiguous \(expected.type.rawValue) \(expected.shape)"
        )
      }
      offsets[expected.name] = offset
      if bytes > 0 { taken.append(offset..<(offset + bytes)) }
    }
    taken.sort { $0.lowerBound < $1.lowerBound }
    guard zip(taken, taken.dropFirst()).allSatisfy({ $0.upperBound <= $1.lowerBound }) else {
      throw Failure.badData("\(path): data sets lie over each other")
    }
    self.offsets = offsets
    parts = layout.datasets(rows: 1).dropFirst(2).dropLast(2).map {
      (offsets[$0.name] ?? 0, $0.shape.reduce(1, *) * $0.type.bytes)
    }
    let ids = try file.readArray("image_id", .int32, of: Int32.self)
    let views = try file.readArray("view", .int32, of: Int32.self)
    rows = zip(ids, views).map { CacheRow(imageID: $0, view: $1) }
    written = try file.readArray("written", .uint8, of: UInt8.self)
    descriptor = try isWritable ? openForWriting(path, O_RDWR) : openRegularFile(path).descriptor
  }

  deinit { close(descriptor) }

  // MARK: Writing

  /// Writes a row's bytes; it counts only after `commit`.
  ///
  /// - Parameter payload: pixels, then the layers, then the tail, as they lie in the file.
  func write(row: Int, _ payload: UnsafeRawBufferPointer) throws {
    var position = 0
    for (offset, bytes) in parts {
      try put(UnsafeRawBufferPointer(rebasing: payload[position..<(position + bytes)]), at: offset + row * bytes)
      position += bytes
    }
    var crc = beginChecksum(row: row)
    crc.update(payload)
    try withUnsafeBytes(of: crc.value.littleEndian) { try put($0, at: place("crc32") + row * 4) }
  }

  private func place(_ name: String) -> Int { offsets[name] ?? 0 }

  /// Makes rows durable, and only then says that they are.
  func commit(_ rows: [Int]) throws {
    guard !rows.isEmpty else { return }
    var status = stat()
    guard fstat(descriptor, &status) == 0, status.st_nlink > 0 else {
      throw Failure.cannotWrite("\(path): has vanished while it was written")
    }
    try sync()
    for row in rows {
      written[row] = 1
      try withUnsafeBytes(of: UInt8(1)) { try put($0, at: place("written") + row) }
    }
    try sync()
  }

  /// Gives an empty row to another view.
  func assign(row: Int, _ key: CacheRow) throws {
    rows[row] = key
    try withUnsafeBytes(of: key.imageID.littleEndian) { try put($0, at: place("image_id") + row * 4) }
    try withUnsafeBytes(of: key.view.littleEndian) { try put($0, at: place("view") + row * 4) }
  }

  /// Takes back the word that a row is there.
  func forget(row: Int) throws {
    written[row] = 0
    try withUnsafeBytes(of: UInt8(0)) { try put($0, at: place("written") + row) }
  }

  /// - Parameter position: in the file.
  private func put(_ bytes: UnsafeRawBufferPointer, at position: Int) throws {
    var done = 0
    while done < bytes.count {
      let count = pwrite(
        descriptor, bytes.baseAddress.map { $0 + done }, bytes.count - done, off_t(position + done))
      if count < 0 && errno == EINTR { continue }
      guard count > 0 else { throw cannotWrite(path) }
      done += count
    }
  }

  private func sync() throws {
    guard fsync(descriptor) == 0 else { throw cannotWrite(path) }
  }

  // MARK: Reading

  /// - Throws: `Failure` 66 where the file has been removed, though it could be read until it is closed: the run could
  ///   not go on another time.
  private func checkPresent() throws {
    var status = stat()
    guard fstat(descriptor, &status) == 0, status.st_nlink > 0 else {
      throw Failure.missingInput("\(path): has vanished; run `ala cache` to make its rows anew")
    }
  }

  /// Reads a row and checks it against its CRC-32.
  ///
  /// - Throws: `Failure` 66 where the file has vanished, is short or cannot be read, 65 where the row's bytes are not what was written.
  func read(row: Int, into payload: UnsafeMutableRawBufferPointer) throws {
    try checkPresent()
    var crc = beginChecksum(row: row)
    var position = 0
    for (offset, bytes) in parts {
      var done = 0
      while done < bytes {
        let piece = UnsafeMutableRawBufferPointer(
          rebasing: payload[(position + done)..<(position + min(done + Self.pieceBytes, bytes))])
        try get(piece, at: offset + row * bytes + done)
        crc.update(UnsafeRawBufferPointer(piece))
        done += piece.count
      }
      position += bytes
    }
    var stored: UInt32 = 0
    try withUnsafeMutableBytes(of: &stored) { try get($0, at: place("crc32") + row * 4) }
    guard UInt32(littleEndian: stored) == crc.value else {
      throw Failure.badData(
        "\(path): row \(row) (image \(rows[row].imageID), view \(rows[row].view)) is damaged: its CRC-32 differs")
    }
  }

  /// - Parameter position: in the file.
  private func get(_ bytes: UnsafeMutableRawBufferPointer, at position: Int) throws {
    var done = 0
    while done < bytes.count {
      let count = pread(
        descriptor, bytes.baseAddress.map { $0 + done }, bytes.count - done, off_t(position + done))
      if count < 0 && errno == EINTR { continue }
      guard count >= 0 else { throw cannotRead(path) }
      guard count > 0 else {
        throw Failure.missingInput(
          "\(path): ends before its rows do, or has vanished; run `ala cache` to make its rows anew")
      }
      done += count
    }
  }

  /// The CRC-32 of a row's image id and view, to be continued over its payload.
  private func beginChecksum(row: Int) -> CRC32 {
    var crc = CRC32()
    withUnsafeBytes(of: rows[row].imageID.littleEndian) { crc.update($0) }
    withUnsafeBytes(of: rows[row].view.littleEndian) { crc.update($0) }
    return crc
  }
}
