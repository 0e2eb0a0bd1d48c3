import Failures
import Foundation
import Storage
import TestSupport
import Testing

/// What is promised of HDF5 files that other tools have made, by those that `scripts/fixtures/foreign_hdf5.py` writes.

private let program = builtProgram("ala")

@Test func valuesInPiecesCompressedOrOfAnotherTypeAreReadAsTheyAre() throws {
  let path = Fixture.path("in-pieces.h5")
  let tensors = try Checkpoint.readModel(path, probe: program)
  #expect(tensors.map(\.name) == ["big", "chunked", "compact", "double", "half", "soft"])
  let shapes = ["big": [3, 4], "chunked": [6, 5], "compact": [3], "double": [7], "half": [2, 2], "soft": [7]]
  for tensor in tensors {
    #expect(tensor.shape == shapes[tensor.name])
    #expect(tensor.values == tensor.values.indices.map { Float($0) / 8 - 1 }, "\(tensor.name)")
  }
}

@Test(arguments: [
  ("external-storage.h5", ["/model/outside", "in another file"]),
  ("external-link.h5", ["/model/outside", "a link into another file"]), ("link-through.h5", ["/model/a"]),
  ("virtual.h5", ["/model/outside", "in-pieces.h5"]), ("virtual-index.h5", ["written", "shard-in-pieces.h5"]),
  ("virtual-shard.h5", ["/model/written", "is virtual: its values lie in other files"]),
])
func whatLeadsOutOfAFileIsRefusedByItsName(name: String, words: [String]) throws {
  let path = Fixture.path(name)
  for read in [
    { _ = try HDF5Contents(path, probe: program).lines }, { _ = try Checkpoint.readModel(path, probe: program) },
  ] {
    let failure = #expect(throws: Failure.self) { try read() }
    #expect(failure?.code == .badData, "\(failure?.message ?? "")")
    #expect(failure?.message.hasPrefix(path) == true && words.allSatisfy { failure?.message.contains($0) == true })
  }
}

@Test func aDataSetBeyondAnyMemoryIsListedAndNeverRead() throws {
  let path = Fixture.path("huge.h5")
  #expect(try HDF5Contents(path, probe: program).lines.contains("/model/huge  float32  [2147483648, 1048576]"))
  let failure = #expect(throws: Failure.self) { try Checkpoint.readModel(path, probe: program) }
  #expect(failure?.code == .badData && failure?.message.contains("huge") == true)
}

@Test(arguments: [("unfolded.h5", "/model/unfolded of shape [16777216]"), ("names.h5", "/model/b")])
func valuesThatAFileCannotHoldAreRefusedBeforeMemoryIsTaken(name: String, words: String) throws {
  let path = Fixture.path(name)
  #expect(try !HDF5Contents(path, probe: program).datasets.isEmpty)
  let failure = #expect(throws: Failure.self) { try Checkpoint.readModel(path, probe: program) }
  #expect(failure?.code == .badData && failure?.message.hasPrefix("\(path): data set \(words)") == true)
}

@Test func anAttributeThatSaysItIsLongerThanItsFileIsRefused() throws {
  let path = Fixture.path("long-text.h5")
  let failure = #expect(throws: Failure.self) { try HDF5Contents(path, probe: program) }
  #expect(failure?.code == .badData && failure?.message.hasPrefix("\(path): attribute format cannot be read") == true)
}

@Test func aPipeInPlaceOfAFileIsNotWaitedFor() throws {
  let folder = try TemporaryFolder()
  let path = "\(folder.path)/pipe.h5"
  #expect(mkfifo(path, 0o600) == 0)
  let failure = #expect(throws: Failure.self) { try HDF5Contents(path, probe: program).lines }
  #expect(failure?.code == .badData && failure?.message == "\(path): is a FIFO; expected a regular file")
}

@Test func aFileThatTakesMoreMemoryThanAnyOfOursIsNoSoundOneAndNamed() throws {
  let path = Fixture.path("paths.h5")
  for read in [
    { _ = try HDF5Contents(path, probe: program).lines }, { _ = try Checkpoint.readModel(path, probe: program) },
  ] {
    let failure = #expect(throws: Failure.self) { try read() }
    #expect(failure?.code == .badData, "\(failure as Any)")
    let words = "\(path): is no sound HDF5 file: reading it takes more memory than any of ours"
    #expect(failure?.message.hasPrefix(words) == true)
  }
}

@Test func whatAFileListsIsJudgedBeforeMemoryIsTakenForIt() throws {
  // Reading its values would throw another sentence.
  let path = Fixture.path("unfolded.h5")
  var listed: [TensorShape] = []
  let failure = #expect(throws: Failure.self) {
    try Checkpoint.readModel(path, probe: program) {
      listed = $0
      throw Failure.badConfiguration("none of ours")
    }
  }
  #expect(failure == .badConfiguration("none of ours"))
  #expect(listed == [TensorShape(name: "unfolded", shape: [1 << 24])])
}

@Test(arguments: [0, 512, 1 << 20])
func anHDF5FileIsKnownBehindAUserBlock(bytes: Int) throws {
  let folder = try TemporaryFolder()
  let path = "\(folder.path)/behind"
  let file = try Data(contentsOf: URL(fileURLWithPath: Fixture.path("in-pieces.h5")))
  try (Data(repeating: UInt8(ascii: "u"), count: bytes) + file).write(to: URL(fileURLWithPath: path))
  #expect(try isHDF5(path))
  let tensors = try Checkpoint.readModel(path, probe: program)
  #expect(try tensors == Checkpoint.readModel(Fixture.path("in-pieces.h5"), probe: program))
  try Data(repeating: UInt8(ascii: "u"), count: bytes + 4096).write(to: URL(fileURLWithPath: path))
  #expect(try !isHDF5(path))
}
