import Digests
import Foundation

/// Reads event files, also while they grow.
public enum EventReader {
  public struct Event: Sendable {
    public let step: Int
    /// Seconds since 1970.
    public let time: Double
    /// PNG files' bytes by their tags.
    public let pictures: [(tag: String, png: Data)]
  }

  /// Of a record's length, its CRC, and the CRC behind its data.
  private static let headerBytes = 12
  private static let trailerBytes = 4
  /// No record of ours is near it; a damaged length is.
  private static let mostBytes: UInt64 = 1 << 28

  /// The events of the whole records at the beginning of some bytes.
  ///
  /// - Returns: the events, and the bytes that they take; nil in place of events where what follows is no record, and never
  ///   will be.
  public static func events(in bytes: Data) -> (events: [Event]?, count: Int) {
    var events: [Event] = []
    var rest = bytes
    while rest.count >= headerBytes {
      let lengthBytes = Array(rest.prefix(8))
      let length = lengthBytes.withUnsafeBytes { UInt64(littleEndian: $0.loadUnaligned(as: UInt64.self)) }
      guard length <= mostBytes, EventFile.maskedCRC(lengthBytes) == Array(rest.dropFirst(8).prefix(4)) else {
        return (events.isEmpty ? nil : events, bytes.count - rest.count)
      }
      let whole = headerBytes + Int(length) + trailerBytes
      guard rest.count >= whole else { break }
      let data = Array(rest.dropFirst(headerBytes).prefix(Int(length)))
      guard EventFile.maskedCRC(data) == Array(rest.dropFirst(headerBytes + Int(length)).prefix(trailerBytes)),
        let event = try? Ala_Tensorboard_Event(serializedBytes: data)
      else { return (events.isEmpty ? nil : events, bytes.count - rest.count) }
      let pictures = event.summary.value.compactMap { value -> (tag: String, png: Data)? in
        if case .image(let image) = value.value { (value.tag, image.encodedImageString) } else { nil }
      }
      events.append(Event(step: Int(event.step), time: event.wallTime, pictures: pictures))
      rest = rest.dropFirst(whole)
    }
    return (events, bytes.count - rest.count)
  }
}
