import Failures
import Foundation
import Settings
import TestSupport
import Testing

private func load(_ yaml: String, sets: [String] = [], environment: [String: String] = [:]) throws -> Configuration {
  let folder = try TemporaryFolder()
  let path = "\(folder.path)/c.yaml"
  try yaml.write(toFile: path, atomically: true, encoding: .utf8)
  return try Configuration.load(file: path, sets: sets, environment: environment)
}

private func refusal(_ yaml: String, sets: [String] = [], environment: [String: String] = [:]) -> Failure? {
  do {
    _ = try load(yaml, sets: sets, environment: environment)
    return nil
  } catch {
    return error as? Failure
  }
}

@Test func theDefaultsAreThePapers() throws {
  let c = try load("")
  #expect(c.training.lr == 5e-5 && c.training.clip == 0.01 && c.training.batch == 8 && c.training.epochs == 120)
  #expect(c.side.width == 240 && c.side.layers == 8 && c.side.fusion == [0, 1, 2, 3] && c.lora.blocks == [10])
  #expect(c.image.crop?.resize == 256 && c.training.poly == 0.9 && c.perception.channels == [256, 128])
}

@Test func aFlagBeatsSetBeatsEnvironmentBeatsFileBeatsDefault() throws {
  let folder = try TemporaryFolder()
  let path = "\(folder.path)/c.yaml"
  try "training: {lr: 0.1, clip: 0.2, patience: 3, batch: 4}".write(toFile: path, atomically: true, encoding: .utf8)
  let c = try Configuration.load(
    file: path, flags: [("training.lr", "0.4")], sets: ["training.lr=0.3", "training.clip=0.3"],
    environment: [
      "ALA_TRAINING__LR": "0.2", "ALA_TRAINING__CLIP": "0.25", "ALA_TRAINING__PATIENCE": "7", "ALA_THREADS": "3",
    ])
  #expect(c.training.lr == 0.4 && c.training.clip == 0.3 && c.training.patience == 7 && c.training.batch == 4)
  #expect(c.run.threads == 3)
}

@Test func aByteOrderMarkIsNoPartOfTheSettings() throws {
  #expect(try load("\u{FEFF}---\ntraining: {lr: 0.1}\n").training.lr == 0.1)
}

@Test func aTextOfTwoBytesACharacterIsToldAsSuch() throws {
  let folder = try TemporaryFolder()
  let path = "\(folder.path)/c.yaml"
  for encoding in [String.Encoding.utf16LittleEndian, .utf16BigEndian, .utf16] {
    try "training: {lr: 0.1}\n".write(toFile: path, atomically: true, encoding: encoding)
    let failure = #expect(throws: Failure.self) { try Configuration.load(file: path, environment: [:]) }
    #expect(failure?.code == .badConfiguration && failure?.message.contains("is not UTF-8") == true, "\(encoding)")
  }
}

@Test(arguments: ["a: \(String(repeating: "[", count: 100_000))", "a: 1\na: \(String(repeating: "2", count: 100_000))"])
func whatIsNoYAMLIsQuotedInPart(text: String) {
  let failure = refusal(text)
  #expect(failure?.code == .badConfiguration && (failure?.message.count ?? 0) < 600)
}

@Test func anUnknownKeyNamesTheNearest() {
  #expect(refusal("training: {learning_rat: 1}")?.code == .badConfiguration)
  #expect(refusal("training: {patiense: 1}")?.message.contains("training.patience") == true)
  #expect(refusal("", sets: ["side.widht=1"])?.message.contains("side.width") == true)
  #expect(refusal("", environment: ["ALA_SIDE__WIDHT": "1"])?.message.contains("side.width") == true)
  #expect(refusal("sidee: {width: 1}")?.code == .badConfiguration)
}

@Test(arguments: [
  "training: {epochs: 010}", "training: {epochs: 1.5}", "training: {aea: on}", "training: {lr: nan}",
  "training: {lr: -1}",
  "training: {lanes: 3}", "attention: {head: abc}", "attention: {kernel: 2}", "lora: {blocks: 10}",
  "side: {fusion: [0, -1]}",
  "image: {augment: {crop: centre}}", "encoder: {mean: [1, 2]}", "training: {lr: 1, lr: 2}", "training: [1]", "a: [",
  "- 1",
  "perception: {channels: []}", "side: {heads: 7}", "data: {classes: []}", "training: {schedule: {poly: x}}",
]) func whatCannotBeReadIsRefusedWithItsKey(yaml: String) {
  let failure = refusal(yaml)
  #expect(failure?.code == .badConfiguration, "\(yaml): \(failure?.message ?? "accepted")")
}

@Test(arguments: [
  ("training.learning_rate", "training.lr"), ("training.batch_size", "training.batch"),
  ("batch_size", "training.batch"),
  ("training.num_workers", "run.threads"), ("workers", "run.threads"), ("data.num_classes", "data.classes"),
  ("seed", "run.seed"), ("training.seed", "run.seed"), ("data.masks", "data.segmentations"), ("lr", "training.lr"),
  ("model.weights", "encoder.weights"), ("training.weightDecay", "training.weight_decay"),
  ("epochs", "training.epochs"),
  ("data.image_size", "image.size"), ("training.max_grad_norm", "training.clip"), ("lora.alpha", "lora.scale"),
  ("training.early-stopping", "training.patience"),
]) func anUnknownKeyNamesTheNearestByMeaningToo(given: String, expected: String) {
  #expect(refusal("", sets: ["\(given)=1"])?.message.hasSuffix("the nearest is \(expected)") == true)
}

@Test func everySynonymStandsForASettingAndNoSynonymForTwo() {
  #expect(SettingTable.synonyms.keys.allSatisfy { SettingTable.key($0) != nil })
  let words = SettingTable.synonyms.values.flatMap { $0 }
  #expect(Set(words).count == words.count)
}

@Test func aPathsTildeIsTheHomeFolder() throws {
  let home = ProcessInfo.processInfo.environment["HOME"] ?? ""
  try #require(home.hasPrefix("/"))
  let c = try load(
    "run: {dir: ~/runs}\ndata: {root: '~/birds', segmentations: ~/masks}\nencoder: {weights: ~/a.safetensors}",
    sets: ["cache.dir=~/cache"])
  #expect(c.run.dir == "\(home)/runs" && c.data.root == "\(home)/birds" && c.data.segmentations == "\(home)/masks")
  #expect(c.encoder.weights == "\(home)/a.safetensors" && c.cache.dir == "\(home)/cache")
  #expect(c.resolvedYAML.contains("\(home)/runs"))
  #expect(try load("", environment: ["ALA_DATA__ROOT": "~root/x"]).data.root == "/root/x")
  #expect(try load("run: {dir: a/~/b}\ncache: {dir: ~}").run.dir == "a/~/b")
}

@Test func mergeKeysTakeOverWhatAMapDoesNotSay() throws {
  let c = try load(
    """
    common: &common {lr: 0.1, clip: 0.2, batch: 4}
    more: &more
      clip: 0.9
      epochs: 7
    training:
      batch: 2
      <<: [*common, *more]
      patience: 0
    image: {augment: &augment {resize: 300, flip: 0.1}, size: 32}
    """)
  #expect(c.training.lr == 0.1 && c.training.clip == 0.2 && c.training.epochs == 7)
  #expect(c.training.batch == 2 && c.training.patience == 0)
  let nested = try load("a: &a {flip: 0.25}\nb: &b {<<: *a, resize: 300}\nimage: {augment: {<<: *b, flip: 0.75}}")
  #expect(nested.image.crop?.resize == 300 && nested.image.crop?.flip == 0.75)
}

@Test(arguments: [
  "training: {<<: 3}", "training: {<<: [1]}", "common: {lr: 1}\ntraining: {clip: 1}", "training: {'<<': {lr: 1}}",
  "common: &common {lr: 1}\ntraining: {clip: 1}", "a: &a {learning_rate: 1}\ntraining: {<<: *a}",
  "training: {<<: *nobody}",
]) func whatCannotBeMergedIsRefused(yaml: String) {
  #expect(refusal(yaml)?.code == .badConfiguration)
}

@Test func aliasesOfAliasesAreRefusedInTime() {
  let levels = (1...40).map { "a\($0): &a\($0) [*a\($0 - 1), *a\($0 - 1), *a\($0 - 1)]" }
  let failure = refusal("a0: &a0 [1, 2]\n" + levels.joined(separator: "\n"))
  #expect(failure?.code == .badConfiguration && failure?.message.contains("aliases") == true)
}

@Test func wordsAreReadByTheKeysType() throws {
  let c = try load(
    "run: {dir: on}\ndata: {classes: [010, yes]}\nside: {fusion: san}\ncache: {dir: null}\nimage: {augment: none}")
  #expect(c.run.dir == "on" && c.data.classes == ["010", "yes"] && c.side.fusion == [0, 3, 6, 9])
  #expect(c.cache.dir == nil && c.image.crop == nil)
}

@Test(arguments: [
  ("\"o q\"", "o q"), ("'it''s'", "it's"), ("\"a\\tb\"", "a\tb"), (" 'x' # of YAML", "x"),
  ("\"~/o\"", "\(ProcessInfo.processInfo.environment["HOME"] ?? NSHomeDirectory())/o"),
  ("a: b", "a: b"), ("o #1", "o #1"), ("it's", "it's"), ("[a]", "[a]"), ("*a", "*a"), ("o \"q\"", "o \"q\""),
]) func aTextStandsAsItIsOrInTheQuotesOfYAML(written: String, expected: String) throws {
  #expect(try load("", sets: ["run.dir=\(written)"]).run.dir == expected)
  #expect(try load("", environment: ["ALA_RUN__DIR": written]).run.dir == expected)
}

@Test(arguments: ["\"o", "'o' q", "\"a\": b", "''", "\"\""]) func quotesThatHoldNoTextAreRefused(written: String) {
  let failure = refusal("", sets: ["run.dir=\(written)"])
  #expect(failure?.code == .badConfiguration && failure?.message.contains("run.dir") == true, "\(failure as Any)")
}

@Test func aMemberOfAMapIsNamedByItsPath() throws {
  let c = try load(
    "image: {size: 32, augment: {flip: 0.25}}", sets: ["image.augment.resize=40"],
    environment: ["ALA_TRAINING__SCHEDULE__POLY": "2"])
  #expect(c.image.crop?.resize == 40 && c.image.crop?.flip == 0.25 && c.training.poly == 2)
  #expect(refusal("", sets: ["image.augment.resise=40"])?.message.contains("resise") == true)
  #expect(refusal("", sets: ["training.lr.x=1"])?.code == .badConfiguration)
}

@Test func overlaysMergeMapsAndReplaceListsAndACycleIsRefused() throws {
  let folder = try TemporaryFolder()
  func write(_ name: String, _ text: String) throws {
    try text.write(toFile: "\(folder.path)/\(name)", atomically: true, encoding: .utf8)
  }
  try write("base.yaml", "training: {lr: 0.1, clip: 0.2}\nside: {fusion: [0, 1]}\nimage: {augment: {flip: 0.1}}")
  try write(
    "over.yaml", "extends: base.yaml\ntraining: {lr: 0.3}\nside: {fusion: [2]}\nimage: {augment: {resize: 300}}")
  let c = try Configuration.load(file: "\(folder.path)/over.yaml")
  #expect(c.training.lr == 0.3 && c.training.clip == 0.2 && c.side.fusion == [2])
  #expect(c.image.crop?.resize == 300 && c.image.crop?.flip == 0.1)
  try write("a.yaml", "extends: b.yaml")
  try write("b.yaml", "extends: a.yaml")
  let cycle = #expect(throws: Failure.self) { try Configuration.load(file: "\(folder.path)/a.yaml") }
  #expect(cycle?.code == .badConfiguration)
  let absent = #expect(throws: Failure.self) { try Configuration.load(file: "\(folder.path)/none.yaml") }
  #expect(absent?.code == .missingInput)
}

@Test func theResolvedSettingsReadBackAsTheSame() throws {
  let c = try load(
    "run: {dir: 'a b: c'}\nside: {fusion: []}\nencoder: {mean: [0.1, 0.2, 0.3]}\ntraining: {schedule: constant}")
  #expect(try Configuration(resolvedYAML: c.resolvedYAML, place: "test") == c)
}

@Test func onlyWhatChangesTheResultCountsAsADifference() throws {
  let one = try load("")
  let other = try load("run: {dir: b, threads: 2}\ncheckpoint: {keep: 9}\ncache: {dir: x}\ntraining: {lr: 0.5}")
  #expect(other.differences(from: one).map(\.key) == ["training.lr"])
}

@Test func everyCommittedConfigurationLoads() throws {
  let folder = "\(repositoryRoot)/configs"
  let names = try FileManager.default.contentsOfDirectory(atPath: folder).filter { $0.hasSuffix(".yaml") }
  #expect(names.count >= 8)
  for name in names { _ = try Configuration.load(file: "\(folder)/\(name)") }
}

@Test func whatSettingsNeedIsHeldAgainstTheMachinesMemory() throws {
  // 12 d² weights in each of three layers, a gradient and two moments of each, four bytes each; 9 · 256 · 128 weights of
  // a convolution.
  let c = try load("side: {width: 100, heads: 1, layers: 3, fusion: []}")
  func bytes(_ key: String, isTraining: Bool, share: Double = 1) -> Double? {
    c.memoryNeeds(isTraining: isTraining, share: share).first { $0.key == key }?.bytes
  }
  #expect(bytes("side.width", isTraining: true) == 5_760_000)
  #expect(bytes("side.width", isTraining: false) == 1_440_000)
  #expect(bytes("perception.channels", isTraining: false) == 1_179_648)
  // Half of eight images of 224 · 224 · 3 pixels, of a byte each, and as floats.
  #expect(bytes("training.batch", isTraining: true, share: 0.5) == 3_010_560)
  #expect(bytes("training.batch", isTraining: false) == nil)
  let needs = c.memoryNeeds(isTraining: true, share: 1)
  #expect(c.excess(needs, memory: 0x1p34) == nil)
  let failure = c.excess(needs, memory: 0x1p20)
  #expect(failure?.code == .badConfiguration)
  #expect(
    failure?.message.hasPrefix("side.width is 100: ") == true && failure?.message.contains("5760000 bytes") == true)
}

@Test func aPathReadsBackWhateverItHoldsAndHoldsNoNUL() throws {
  for text in ["a\nb", "a\tb\"c\\d", "a\r\n\u{1B}\u{85}\u{2028}b", "a'b: #c", " a ", "ä"] {
    let settings = try load("", environment: ["ALA_RUN__DIR": text])
    #expect(settings.run.dir == text)
    let again = try load(settings.resolvedYAML)
    #expect(again.run.dir == text && again.resolvedYAML == settings.resolvedYAML, "\(settings.yaml("run.dir"))")
  }
  let refused = refusal("run: {dir: \"a\\0b\"}")
  #expect(refused?.code == .badConfiguration && refused?.message.contains("run.dir") == true)
}
