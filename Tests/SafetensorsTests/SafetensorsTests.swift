import Failures
import Foundation
import Safetensors
import TestSupport
import Testing

private func write(_ header: String, data: Int, to path: String, length: UInt64? = nil) throws {
  var bytes = Data()
  withUnsafeBytes(of: (length ?? UInt64(header.utf8.count)).littleEndian) { bytes.append(contentsOf: $0) }
  bytes.append(Data(header.utf8))
  bytes.append(Data(repeating: 0, count: data))
  try bytes.write(to: URL(fileURLWithPath: path))
}

@Test(arguments: [
  "{", "[]", "{\"a\":1}", "{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,4]}}",
  "{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,16]}}",
  "{\"a\":{\"dtype\":\"F32\",\"shape\":[-2],\"data_offsets\":[0,8]}}",
  "{\"a\":{\"dtype\":\"F32\",\"shape\":[4611686018427387904,4],\"data_offsets\":[0,8]}}",
  "{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[4,8]}}",
  "{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]},\"b\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[4,8]}}",
  "{\"a\":{\"dtype\":\"F32\",\"shape\":[1.5],\"data_offsets\":[0,8]}}",
]) func aHeaderThatBreaksTheFormatIsRefused(header: String) throws {
  let folder = try TemporaryFolder()
  let path = "\(folder.path)/w.safetensors"
  try write(header, data: 8, to: path)
  let failure = #expect(throws: Failure.self) { try SafetensorsFile(path: path) }
  #expect(failure?.code == .badData && failure?.message.contains(path) == true)
}

@Test func aFileThatIsCutOffAtAnyLengthIsRefused() throws {
  let folder = try TemporaryFolder()
  let path = "\(folder.path)/w.safetensors"
  let source = "\(repositoryRoot)/Tests/AttentionLatticeTests/Fixtures/clip.encoder.safetensors"
  let bytes = FileManager.default.contents(atPath: source) ?? Data()
  for trial in 0..<60 {
    try bytes.prefix(trial < 20 ? trial : (trial * 7919) % bytes.count).write(to: URL(fileURLWithPath: path))
    #expect(throws: Failure.self) { try SafetensorsFile(path: path) }
  }
  try write("{}", data: 0, to: path, length: .max)
  #expect(throws: Failure.self) { try SafetensorsFile(path: path) }
}

@Test func aHeaderThatBreaksTheFormatIsRefusedBeforeTheFileIsHashed() throws {
  let folder = try TemporaryFolder()
  let path = "\(folder.path)/w.safetensors"
  try write("", data: 0, to: path, length: 1 << 37)
  try #require(truncate(path, 1 << 24) == 0)
  let failure = #expect(throws: Failure.self) { try SafetensorsFile.sha256(path: path) }
  #expect(failure?.code == .badData && failure?.message.contains("claims 137438953472 bytes") == true)
}

@Test func insteadOfAFolderAFileInItIsAskedFor() throws {
  let folder = try TemporaryFolder()
  for (name, words) in [
    ("", "name a file in it"), ("b.safetensors", "name a file in it, such as b.safetensors"),
    ("z.safetensors.index.json", "name a file in it, such as z.safetensors.index.json"),
  ] {
    if !name.isEmpty { try Data().write(to: URL(fileURLWithPath: "\(folder.path)/\(name)")) }
    for read in [{ _ = try SafetensorsFile(path: $0) }, { _ = try SafetensorsFile.sha256(path: $0) }]
      as [(String) throws -> Void]
    {
      #expect(throws: Failure.badData("\(folder.path): is a folder; \(words)")) { try read(folder.path) }
    }
  }
}

@Test func aHeaderNamesSoManyTensorsAndNoMore() throws {
  let folder = try TemporaryFolder()
  let path = "\(folder.path)/w.safetensors"
  func header(_ count: Int) -> String {
    let tensors = (0..<count).map { "\"{\\\"{\($0)\":{\"dtype\":\"F32\",\"shape\":[0],\"data_offsets\":[0,0]}" }
    return "{\"__metadata__\":{\"a\":\"{{{{\"},\(tensors.joined(separator: ","))}"
  }
  // Braces in names are none of tensors.
  try write(header(20_000), data: 0, to: path)
  #expect(try SafetensorsFile(path: path).tensors.count == 20_000)
  try write(header(100_001), data: 0, to: path)
  let failure = #expect(throws: Failure.self) { try SafetensorsFile(path: path) }
  #expect(
    failure?.message == "\(path): not a sound safetensors file: its header names more than 100000 tensors")
}
