import Encoder
import Failures
import Files
import Foundation
import Layers
import Tensor
import TestSupport
import Testing

/// Which files are taken for an encoder, and which are refused because this encoder would compute something else.

private let spellings: [Spelling] = [.huggingFace, .openCLIP, .timm]

private func refusal(_ options: EncoderOptions) -> Failure? {
  do {
    _ = try ImageEncoder(options, store: ParameterStore())
    return nil
  } catch { return error as? Failure }
}

/// Names of timm's BEiT-3 and RoPE models, open_clip's custom blocks, quantised and adapted weights, and one made up.
@Test(arguments: [
  (Spelling.timm, "attn.norm.weight"), (.timm, "mlp.norm.weight"), (.timm, "attn.q_norm.weight"), (.timm, "ls1.gamma"),
  (.timm, "attn.rel_pos.relative_position_bias_table"), (.timm, "adapter.down.weight"),
  (.openCLIP, "attn.ln_q.weight"), (.openCLIP, "attn.ln_inner.weight"), (.openCLIP, "ln_attn.weight"),
  (.openCLIP, "mlp.ln.weight"), (.openCLIP, "attn.logit_scale"), (.openCLIP, "attn.head_scale"),
  (.openCLIP, "ls_1.gamma"), (.huggingFace, "self_attn.q_proj.lora_A.default.weight"),
  (.huggingFace, "layer_scale1.weight"), (.huggingFace, "never_heard_of"),
]) func aTensorInABlockThatIsRunAndNotUsedIsRefusedByName(spelling: Spelling, name: String) throws {
  let folder = try TemporaryFolder()
  var tiny = TinyEncoder(spelling)
  tiny.add("\(tiny.stem(1)).\(name)", [8])
  let path = try tiny.write("\(folder.path)/w.safetensors")
  let failure = refusal(tinyOptions(path))
  #expect(failure?.code == .badData && failure?.message.contains("\(tiny.stem(1)).\(name)") == true)
  #expect(refusal(tinyOptions(path) { $0.depth = 1 }) == nil, "the block is not run")
}

@Test(arguments: [
  (Spelling.timm, "reg_token"), (.timm, "dist_token"), (.timm, "rope.freqs"), (.timm, "patch_embed.norm.weight"),
  (.timm, "attn_pool.latent"), (.openCLIP, "visual.patchnorm_pre_ln.weight"),
  (.huggingFace, "vision_model.embeddings.register_tokens"), (.huggingFace, "vision_model.encoder.rotary_emb.inv_freq"),
  (.huggingFace, "vision_model.encoder.norm_mid.weight"),
  (.huggingFace, "vision_model.encoder.layers.01.mlp.fc1.weight"),
  (.openCLIP, "visual.transformer.relative_position_bias_table"),
  (.openCLIP, "visual.transformer.resblocks.x.ln_1.weight"), (.timm, "blocks.-1.norm1.weight"),
]) func whatChangesTheTokensBeforeTheBlocksIsRefusedByName(spelling: Spelling, name: String) throws {
  let folder = try TemporaryFolder()
  var tiny = TinyEncoder(spelling)
  tiny.add(name, [1, 4, 64])
  let failure = refusal(tinyOptions(try tiny.write("\(folder.path)/w.safetensors")))
  #expect(failure?.code == .badData && failure?.message.contains(name) == true)
}

@Test(
  arguments: spellings,
  ["9223372036854775807", "9223372036854775806", "9223372036854775808", "-9223372036854775808", "+2", "02"])
func aBlockOfANumberThatFollowsNoOtherIsRefused(spelling: Spelling, number: String) throws {
  let folder = try TemporaryFolder()
  var tiny = TinyEncoder(spelling)
  let stem = tiny.stem(2)
  let renamed = String(stem.dropLast()) + number
  tiny.tensors = Dictionary(
    uniqueKeysWithValues: tiny.tensors.map { name, tensor in
      (name.hasPrefix("\(stem).") ? renamed + String(name.dropFirst(stem.count)) : name, tensor)
    })
  let path = try tiny.write("\(folder.path)/w.safetensors")
  let failure = refusal(tinyOptions(path))
  #expect(failure?.code == .badData && failure?.message.hasPrefix(path) == true, "\(failure?.message ?? "")")
  #expect(failure?.message.contains("block 3 ") == true || failure?.message.contains(renamed) == true)
}

@Test(arguments: spellings)
func tensorsOutsideTheBlocksMayBeThereOrNotAndOfAnyType(spelling: Spelling) throws {
  let folder = try TemporaryFolder()
  var tiny = TinyEncoder(spelling)
  for name in ["text_model.encoder.layers.0.mlp.fc3.weight", "logit_scale", "head.weight", "transformer.ln_final"] {
    tiny.add(name, [3])
  }
  let others = [
    (name: "vision_model.embeddings.position_ids", type: "I64", shape: [1], bytes: Data(count: 8)),
    (name: "anything.at.all", type: "U8", shape: [2], bytes: Data(count: 2)),
  ]
  #expect(refusal(tinyOptions(try tiny.write("\(folder.path)/w.safetensors", others: others))) == nil)
  tiny.remove(below: ["vision_model.post", "visual.ln_post", "norm."][spellings.firstIndex(of: spelling) ?? 0])
  let path = try tiny.write("\(folder.path)/w.safetensors")
  let encoder = try ImageEncoder(tinyOptions(path), store: ParameterStore())
  #expect(encoder.notes.contains { $0.contains("a part of a model's weights?") }, "\(encoder.notes)")
}

@Test(arguments: spellings, [0, 1])
func aBlockMissingInTheMiddleIsNamedWhateverTheDepth(spelling: Spelling, block: Int) throws {
  let folder = try TemporaryFolder()
  var tiny = TinyEncoder(spelling, blocks: 4)
  tiny.remove(below: "\(tiny.stem(block)).")
  let path = try tiny.write("\(folder.path)/w.safetensors")
  for (depth, lora) in [(nil, []), (1, []), (3, [3]), (4, [10])] as [(Int?, [Int])] {
    let failure = refusal(
      tinyOptions(path) {
        $0.depth = depth
        $0.loraBlocks = lora
      })
    #expect(
      failure?.code == .badData && failure?.message.contains(tiny.stem(block)) == true, "\(failure?.message ?? "")")
    #expect(failure?.message.contains("block \(block + 1) ") == true)
  }
}

@Test(arguments: spellings, ["model.", "clip.", "vision_tower.", "_orig_mod.", "module.model.", "a.b._c."])
func aPrefixInFrontOfAKnownSpellingIsTakenOffAndTold(spelling: Spelling, prefix: String) throws {
  let folder = try TemporaryFolder()
  let tiny = TinyEncoder(spelling)
  let plain = try ImageEncoder(tinyOptions(try tiny.write("\(folder.path)/w.safetensors")), store: ParameterStore())
  #expect(!plain.notes.contains { $0.contains("taken off") })
  let wrapped = try ImageEncoder(
    tinyOptions(try tiny.write("\(folder.path)/p.safetensors", prefix: prefix)), store: ParameterStore())
  #expect(wrapped.spelling == spelling)
  #expect(wrapped.notes.contains { $0.contains(" \(prefix), which is taken off") }, "\(wrapped.notes)")
  #expect(lastStates(wrapped) == lastStates(plain))
  let strange = "\(prefix)\(tiny.stem(0)).stranger"
  var other = tiny
  other.tensors["\(tiny.stem(0)).stranger"] = ([1], [0])
  let failure = refusal(tinyOptions(try other.write("\(folder.path)/p.safetensors", prefix: prefix)))
  #expect(failure?.message.contains(strange) == true)
}

@Test func aFileWithSeveralEncodersIsRefusedUnlessOneHasItsPlainNames() throws {
  let folder = try TemporaryFolder()
  let tiny = TinyEncoder(.openCLIP)
  func both(_ one: String, _ other: String) throws -> String {
    var pair = tiny
    pair.tensors = [:]
    for (name, tensor) in tiny.tensors {
      pair.tensors[one + name] = tensor
      pair.tensors[other + name] = tensor
    }
    return try pair.write("\(folder.path)/w.safetensors")
  }
  let failure = refusal(tinyOptions(try both("teacher.", "student.")))
  #expect(failure?.code == .badData && failure?.message.contains("teacher.visual.conv1.weight") == true)
  let encoder = try ImageEncoder(tinyOptions(try both("", "ema.")), store: ParameterStore())
  #expect(encoder.notes.contains { $0.contains("ema.visual.") && $0.contains("passed over") }, "\(encoder.notes)")
}

@Test(arguments: spellings)
func aShardAloneIsRefusedAsWhatItIsAndWithItsIndexGivesTheWholesStates(spelling: Spelling) throws {
  let folder = try TemporaryFolder()
  let tiny = TinyEncoder(spelling, blocks: 4)
  let whole = try tiny.write("\(folder.path)/whole.safetensors")
  let first = "model-00001-of-00002.safetensors"
  let second = "model-00002-of-00002.safetensors"
  func isFirst(_ name: String) -> Bool { !name.hasPrefix(tiny.stem(2)) && !name.hasPrefix(tiny.stem(3)) }
  try tiny.write("\(folder.path)/\(first)", where: isFirst)
  try tiny.write("\(folder.path)/\(second)") { !isFirst($0) }
  func expectRefusal(_ change: (inout EncoderOptions) -> Void) {
    let failure = refusal(tinyOptions("\(folder.path)/\(first)", change))
    #expect(failure?.code == .badData && failure?.message.contains("shard") == true, "\(failure?.message ?? "")")
  }
  expectRefusal { _ in }
  expectRefusal { $0.depth = 4 }
  let map = Dictionary(uniqueKeysWithValues: tiny.tensors.keys.map { ($0, isFirst($0) ? first : second) })
  let index = "\(folder.path)/model.safetensors.index.json"
  try JSONSerialization.data(withJSONObject: ["metadata": ["total_size": 1], "weight_map": map]).write(
    to: URL(fileURLWithPath: index))
  expectRefusal { $0.depth = 2 }
  func encoder(_ path: String) throws -> ImageEncoder {
    try ImageEncoder(tinyOptions(path), store: ParameterStore())
  }
  let (sharded, plain) = (try encoder(index), try encoder(whole))
  #expect(sharded.availableDepth == 4)
  #expect(lastStates(sharded) == lastStates(plain))
  let (merged, expected) = (try sharded.mergedTensors(), try plain.mergedTensors())
  #expect(merged.map(\.name) == expected.map(\.name) && merged.map(\.values) == expected.map(\.values))
}

/// timm's vit_pe_spatial models have no tensor of their rotary positions.
@Test func aTimmEncoderWithANormBeforeItsBlocksAndNoneBehindIsRefused() throws {
  let folder = try TemporaryFolder()
  var tiny = TinyEncoder(.timm)
  tiny.add("norm_pre.weight", [64], about: 1)
  tiny.add("norm_pre.bias", [64])
  #expect(refusal(tinyOptions(try tiny.write("\(folder.path)/clip.safetensors"))) == nil)
  tiny.remove(below: "norm.")
  let failure = refusal(tinyOptions(try tiny.write("\(folder.path)/pe.safetensors")))
  #expect(failure?.code == .badData && failure?.message.contains("rotary") == true)
}

/// Nothing but the missing norm after the blocks shows what such a file is.
@Test(arguments: spellings)
func aFirstPartUnderAnotherNameIsToldAsSuchAndNotAsASettingThatDoesNotFit(spelling: Spelling) throws {
  let folder = try TemporaryFolder()
  var tiny = TinyEncoder(spelling, blocks: 2)
  tiny.remove(below: ["vision_model.post", "visual.ln_post", "norm."][spellings.firstIndex(of: spelling) ?? 0])
  let path = try tiny.write("\(folder.path)/clip.safetensors")
  for options in [tinyOptions(path) { $0.depth = 4 }, tinyOptions(path) { $0.loraBlocks = [3] }] {
    let failure = refusal(options)
    #expect(failure?.code == .badData && failure?.message.contains("part of a model's weights") == true)
  }
  tiny.remove(below: "\(tiny.stem(1)).mlp")
  let cut = refusal(tinyOptions(try tiny.write(path)))
  #expect(cut?.code == .badData && cut?.message.contains("\(tiny.stem(1)).mlp") == true)
}

/// A second encoder beside the trained one, as explanation methods want it.
@Test func severalEncodersStandOnOneConvertedCopyThatIsFreedWithTheLast() throws {
  let path = Fixture.path("open_clip-float16.safetensors")
  var options = EncoderOptions(weights: path, imageSide: 32, heads: 2, loraBlocks: [2], loraRank: 2)
  var copies = 0
  weak var memory: MappedMemory?
  func makeFile() throws -> EncoderFile {
    try EncoderFile(options) { count, fill in
      copies += 1
      let made = try MappedMemory(byteCount: count, fill: fill)
      memory = made
      return made
    }
  }
  var encoders: [ImageEncoder] = []
  var stores: [ParameterStore] = []
  do {
    let file = try makeFile()
    for _ in 0..<2 {
      let store = ParameterStore()
      encoders.append(try ImageEncoder(file, options, store: store))
      try store.allocate(training: false)
      for parameter in store.parameters where encoders.count == 2 {
        store.set(parameter, fromFile: (0..<parameter.count).map { 0.1 * Float(sin(Double($0))) })
      }
      stores.append(store)
    }
    options.loraBlocks = []
    encoders.append(try ImageEncoder(file, options, store: ParameterStore()))
  }
  #expect(copies == 1 && memory != nil)
  let states = encoders.map(lastStates)
  #expect(states[0] == states[2], "LoRA that is zero changes nothing")
  #expect(states[1] != states[0])
  encoders = []
  #expect(memory == nil)
}

/// Convolutional networks, and a vision transformer of timm's with scaled layers.
@Test(arguments: [
  [("conv1.weight", [64, 3, 7, 7]), ("fc.weight", [10, 64])],
  [("visual.conv1.weight", [32, 3, 3, 3]), ("visual.attnpool.positional_embedding", [50, 64])],
  [("layer1.0.conv1.weight", [64, 64, 3, 3])], [],
  [("patch_embed.proj.weight", [64, 3, 8, 8]), ("cls_token", [1, 1, 64]), ("blocks.0.ls1.gamma", [64])],
  [("patch_embed.proj.weight", [64, 3, 8, 8]), ("cls_token", [1, 1, 64]), ("pos_embed", [1, 5, 64])],
]) func anotherKindOfNetworkIsRefusedByItsFile(tensors: [(String, [Int])]) throws {
  let folder = try TemporaryFolder()
  var tiny = TinyEncoder(.timm)
  tiny.tensors = [:]
  for (name, shape) in tensors { tiny.add(name, shape) }
  let path = try tiny.write("\(folder.path)/w.safetensors")
  let failure = refusal(EncoderOptions(weights: path, imageSide: 32, loraBlocks: []))
  #expect(failure?.code == .badData && failure?.message.contains(path) == true, "\(failure?.message ?? "")")
}
