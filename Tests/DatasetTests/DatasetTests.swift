import Dataset
import Digests
import Failures
import Files
import Foundation
import Images
import TestSupport
import Testing

private func synthetic(_ folder: TemporaryFolder) throws -> String {
  try SyntheticImages(classes: 3, imagesPerClass: 8, side: 32, seed: 5).write(to: folder.path)
  return folder.path
}

/// Reads a data set with options that `change` sets.
private func read(_ root: String, classes: [String]? = nil, _ change: (inout DatasetOptions) -> Void = { _ in }) throws
  -> ImageDataset
{
  var options = DatasetOptions(root: root, classes: classes)
  change(&options)
  return try ImageDataset(options)
}

private func edit(_ path: String, _ change: (String) -> String) throws {
  try change(try String(contentsOfFile: path, encoding: .utf8)).write(toFile: path, atomically: true, encoding: .utf8)
}

@Test func theSyntheticSetIsReadAndTheSameSeedGivesTheSameBytes() throws {
  let (one, other) = (try TemporaryFolder(), try TemporaryFolder())
  let dataset = try read(try synthetic(one))
  #expect(dataset.images.count == 24 && dataset.classes.count == 3)
  #expect(dataset.images.allSatisfy { dataset.mask(of: $0) != .absent && $0.box != nil })
  #expect(try read(try synthetic(other)).digest == dataset.digest)
  #expect(
    try SHA256.ofFile("\(one.path)/encoder.safetensors") == SHA256.ofFile("\(other.path)/encoder.safetensors"))
}

@Test func trainingTakesFiveSixthsOfEachClassRoundedUp() throws {
  let folder = try TemporaryFolder()
  let dataset = try read(try synthetic(folder))
  let split = try Split(dataset, seed: 1)
  #expect((split.train.count, split.valid.count, split.test.count) == (12, 0, 12))
  #expect(Set(split.train + split.valid + split.test) == Set(dataset.images.map(\.id)))
  #expect(try Split(dataset, seed: 1) == split)
}

/// CUB-200-2011's own ids: 5,000 / 994 / 5,794, and the split of seed 0 for all time.
@Test(.enabled(if: optionalData != nil, "the metadata of CUB-200-2011 is not there"))
func theSplitOfCUB200IsTheSameOnEveryMachine() throws {
  let dataset = try read("\(optionalData ?? "")/cub-200-metadata") { $0.looksAtFiles = false }
  let split = try Split(dataset, seed: 0)
  #expect((split.train.count, split.valid.count, split.test.count) == (5000, 994, 5794))
  #expect(SHA256.of(split.json) == "f7bf3654a2685b84542a7cae26f2767d6fbc0c6ad6d7fdb4beba3379a88bc958")
}

@Test func anEpochsOrderIsAPermutationThatSeedAndEpochDecide() {
  let ids = Array(100..<160)
  let order = epochOrder(ids, seed: 1, epoch: 2)
  #expect(order.sorted() == ids && order != ids)
  #expect(order == epochOrder(ids, seed: 1, epoch: 2))
  #expect(order != epochOrder(ids, seed: 1, epoch: 3) && order != epochOrder(ids, seed: 2, epoch: 2))
}

@Test func everyFaultOfTheTextFilesIsNamedWithFileAndLine() throws {
  let faults: [(String, (String) -> String, ExitCode)] = [
    ("images.txt", { _ in "" }, .badData),
    ("images.txt", { $0.replacingOccurrences(of: "1 001", with: "1 ../001") }, .badData),
    ("images.txt", { $0 + "1 again.png\n" }, .badData),
    ("images.txt", { "x" + $0 }, .badData),
    ("image_class_labels.txt", { $0.replacingOccurrences(of: "24 3\n", with: "24 9\n") }, .badData),
    ("image_class_labels.txt", { $0.replacingOccurrences(of: "24 3\n", with: "") }, .badData),
    ("image_class_labels.txt", { $0.replacingOccurrences(of: "24 3\n", with: "24 -3\n") }, .badData),
    ("classes.txt", { $0.replacingOccurrences(of: "3 003", with: "-3 003") }, .badData),
    ("classes.txt", { $0 + "-1 more\n" }, .badData),
    ("train_test_split.txt", { $0.replacingOccurrences(of: "7 1\n", with: "") }, .badData),
    ("train_test_split.txt", { $0.replacingOccurrences(of: "7 1\n", with: "7 2\n") }, .badData),
    ("bounding_boxes.txt", { $0.replacingOccurrences(of: "\n1 ", with: "\n1 nan ") + "999 nan 0 1 1\n" }, .badData),
  ]
  for (name, change, code) in faults {
    let folder = try TemporaryFolder()
    let root = try synthetic(folder)
    try edit("\(root)/\(name)", change)
    let failure = #expect(throws: Failure.self) { try read(root) }
    #expect(failure?.code == code && failure?.message.contains(".txt") == true, "\(name): \(failure?.message ?? "")")
  }
  let folder = try TemporaryFolder()
  let root = try synthetic(folder)
  unlink("\(root)/classes.txt")
  #expect(throws: Failure.self) { try read(root) }
}

@Test func anUnreadableImageIsNamedOrLeftOut() throws {
  let folder = try TemporaryFolder()
  let root = try synthetic(folder)
  let victim = "\(root)/images/001.Synthetic_001/Synthetic_001_0001.png"
  let bytes = FileManager.default.contents(atPath: victim) ?? Data()
  try bytes.prefix(bytes.count / 2).write(to: URL(fileURLWithPath: victim))
  let failure = #expect(throws: Failure.self) { try read(root) }
  #expect(failure?.code == .badData && failure?.message.contains(victim) == true)
  let rest = try read(root) { $0.skipsUnreadable = true }
  #expect(rest.images.count == 23 && rest.unreadable.map(\.id) == [1])
}

@Test func aLinkThatLeavesTheRootIsRefused() throws {
  let folder = try TemporaryFolder()
  let root = try synthetic(folder)
  let victim = "\(root)/images/001.Synthetic_001/Synthetic_001_0001.png"
  unlink(victim)
  symlink("/etc/hostname", victim)
  let failure = #expect(throws: Failure.self) { try read(root) }
  #expect(failure?.code == .badData)
}

@Test func aSubsetOfClassesIsNumberedFromZeroAndKeepsItsIds() throws {
  let folder = try TemporaryFolder()
  let dataset = try read(try synthetic(folder), classes: ["3", "002.Synthetic_002"])
  #expect(dataset.classes.map(\.id) == [2, 3] && Set(dataset.images.map(\.label)) == [0, 1])
  #expect(throws: Failure.self) { try read(folder.path, classes: ["nobody"]) }
}
