import Digests
import Foundation
import TensorBoard
import TestSupport
import Testing

/// RFC 3720, appendix B.4.
@Test(
  arguments: [
    ([UInt8](repeating: 0, count: 32), 0x8A91_36AA), ([UInt8](repeating: 0xFF, count: 32), 0x62A8_AB43),
    (Array(0..<32), 0x46DD_794E), (Array("123456789".utf8), 0xE306_9283), ([], 0),
  ] as [([UInt8], UInt32)]) func crc32cHasItsPublishedValues(bytes: [UInt8], expected: UInt32)
{
  #expect(crc32c(bytes) == expected)
}

/// `scripts/fixtures/events.py` writes the same events with TensorBoard's own writer.
@Test func eventsAreTensorBoardsByteForByte() throws {
  let folder = try TemporaryFolder()
  let file = try EventFile(folder: folder.path, time: 1.5e9)
  try file.write(scalars: [("loss/alpha", 0.25), ("lr", 5e-5)], step: 7, time: 1.5e9 + 0.125)
  try file.write(scalars: [], step: 8)
  try file.write(pictures: [("maps/12", Array(0..<200), 3, 2)], step: 300, time: 1.5e9 + 1)
  let name = (file.path as NSString).lastPathComponent
  #expect(name.hasPrefix("events.out.tfevents.1500000000."))
  #expect(
    FileManager.default.contents(atPath: file.path) == FileManager.default.contents(atPath: Fixture.path("events.bin")))
}

@Test func eventsAreReadAsFarAsTheyAreWholeAndNoFurtherThanTheyAreSound() throws {
  let bytes = try #require(FileManager.default.contents(atPath: Fixture.path("events.bin")))
  let whole = EventReader.events(in: bytes)
  let events = try #require(whole.events)
  #expect(whole.count == bytes.count && events.map(\.step) == [0, 7, 300])
  #expect(events[1].time == 1.5e9 + 0.125)
  #expect(events[2].pictures.map(\.tag) == ["maps/12"] && events[2].pictures.first?.png == Data(0..<200))
  var last = 0
  for length in 0..<bytes.count {
    let part = EventReader.events(in: bytes.prefix(length))
    let count = try #require(part.events?.count)
    #expect(count < 3 && count >= last && part.count <= length)
    last = count
  }
  // Every damaged byte ends the reading before its own record.
  for place in bytes.indices {
    var damaged = bytes
    damaged[place] ^= 0x10
    let read = EventReader.events(in: damaged)
    #expect((read.events?.count ?? 0) < 3 && read.count <= place)
  }
}
