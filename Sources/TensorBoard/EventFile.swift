import Digests
import Failures
import Files
import Foundation
import SwiftProtobuf

/// A TensorBoard event file: TFRecords (length, its masked CRC-32C, data, its masked CRC-32C) of protobuf events.
/// A run that goes on opens a file beside the earlier ones; TensorBoard reads them as one.
public final class EventFile {
  public let path: String
  private let file: AppendedFile

  /// Begins a file in the folder, which must exist.
  ///
  /// - Parameter time: seconds since 1970; in the name and the first event.
  /// - Throws: `Failure` 73.
  public init(folder: String, time: Double = Date().timeIntervalSince1970) throws {
    path = "\(folder)/events.out.tfevents.\(Int(time)).\(ProcessInfo.processInfo.hostName).\(getpid())"
    file = try AppendedFile(path)
    var event = Ala_Tensorboard_Event()
    event.wallTime = time
    event.fileVersion = "brain.Event:2"
    try append(event)
  }

  /// Appends numbers of one step.
  ///
  /// - Throws: `Failure` 73.
  public func write(
    scalars: [(tag: String, value: Double)], step: Int, time: Double = Date().timeIntervalSince1970
  ) throws {
    try append(
      step, time,
      scalars.map { tag, value in
        var entry = Ala_Tensorboard_Summary.Value()
        entry.tag = tag
        entry.simpleValue = Float(value)
        return entry
      })
  }

  /// Appends pictures of one step.
  ///
  /// - Parameter pictures: PNG files' bytes with their sizes in pixels.
  public func write(
    pictures: [(tag: String, png: [UInt8], width: Int, height: Int)], step: Int,
    time: Double = Date().timeIntervalSince1970
  ) throws {
    try append(
      step, time,
      pictures.map { tag, png, width, height in
        var entry = Ala_Tensorboard_Summary.Value()
        entry.tag = tag
        entry.image.height = Int32(height)
        entry.image.width = Int32(width)
        entry.image.colorspace = 3
        entry.image.encodedImageString = Data(png)
        return entry
      })
  }

  private func append(_ step: Int, _ time: Double, _ values: [Ala_Tensorboard_Summary.Value]) throws {
    guard !values.isEmpty else { return }
    var event = Ala_Tensorboard_Event()
    event.wallTime = time
    event.step = Int64(step)
    event.summary.value = values
    try append(event)
  }

  private func append(_ event: Ala_Tensorboard_Event) throws {
    let data: [UInt8]
    do {
      data = try event.serializedBytes()
    } catch {
      throw Failure.internalError("an event cannot be encoded: \(error)")
    }
    let length = withUnsafeBytes(of: UInt64(data.count).littleEndian) { Array($0) }
    try file.append(length + Self.maskedCRC(length) + data + Self.maskedCRC(data))
  }

  /// TFRecord's mask: rotated right by 15 bits, plus a constant.
  static func maskedCRC(_ bytes: [UInt8]) -> [UInt8] {
    let crc = crc32c(bytes)
    let masked = (crc >> 15 | crc << 17) &+ 0xA282_EAD8
    return withUnsafeBytes(of: masked.littleEndian) { Array($0) }
  }
}
