import Encoder
import Failures
import Foundation
import Layers
import TestSupport
import Testing

/// Heads, activation and eps, which no tensor shows: from the setting, a configuration beside the weights, or what is
/// published.

/// A folder with an encoder's file and what else is said to lie there.
private struct Place {
  let folder: TemporaryFolder
  var path: String { "\(folder.path)/w.safetensors" }

  init(_ spelling: Spelling = .openCLIP, width: Int = 64, _ files: [String: String] = [:]) throws {
    folder = try TemporaryFolder()
    try TinyEncoder(spelling, width: width, blocks: 2).write(path)
    for (name, text) in files { try Data(text.utf8).write(to: URL(fileURLWithPath: "\(folder.path)/\(name)")) }
  }

  func encoder(_ change: (inout EncoderOptions) -> Void = { _ in }) throws -> ImageEncoder {
    try ImageEncoder(tinyOptions(path, change), store: ParameterStore())
  }

  func refusal(_ change: (inout EncoderOptions) -> Void = { _ in }) -> Failure? {
    do {
      _ = try encoder(change)
      return nil
    } catch { return error as? Failure }
  }
}

private func openCLIP(_ vision: String, quick: String = "") -> [String: String] {
  ["open_clip_config.json": "{\"model_cfg\": {\"embed_dim\": 8, \(quick)\"vision_cfg\": {\(vision)}}}"]
}

private func transformers(_ vision: String, kind: String = "clip") -> [String: String] {
  ["config.json": "{\"model_type\": \"\(kind)\", \"hidden_size\": 7, \"vision_config\": {\(vision)}}"]
}

@Test(arguments: [
  (256, 4), (384, 6), (512, 8), (768, 12), (1024, 16), (1280, 16), (1408, 16), (1664, 16), (128, 2), (192, 3),
])
func withoutASettingOrAConfigurationHeadsAreThoseOfThePublishedEncoders(width: Int, heads: Int) throws {
  let encoder = try Place(width: width).encoder { $0.depth = 1 }
  #expect(encoder.heads == heads)
  #expect(encoder.notes.contains { $0.contains("heads \(heads) (") }, "\(encoder.notes)")
}

@Test(arguments: [320, 448, 96, 2048]) func anEncoderOfAWidthThatNobodyPublishedAsksForItsHeads(width: Int) throws {
  let place = try Place(width: width)
  let failure = place.refusal()
  #expect(failure?.code == .badConfiguration && failure?.message.contains("encoder.heads") == true)
  #expect(try place.encoder { $0.heads = 8 }.heads == 8)
}

@Test(
  arguments: [
    (openCLIP("\"width\": 64, \"head_width\": 16, \"patch_size\": 8, \"layers\": 2"), 4, Activation.gelu),
    (openCLIP("\"width\": 64, \"head_width\": 32, \"patch_size\": 8", quick: "\"quick_gelu\": true, "), 2, .quickgelu),
    (openCLIP("\"width\": 64, \"patch_size\": 8"), 1, .gelu),
    (
      ["open_clip_config.json": "{\"quick_gelu\": false, \"vision_cfg\": {\"width\": 64, \"patch_size\": 8}}"], 1, .gelu
    ),
    (
      transformers(
        "\"hidden_size\": 64, \"num_attention_heads\": 8, \"hidden_act\": \"gelu\", \"patch_size\": 8, \"intermediate_size\": 256"
      ), 8, .gelu
    ),
    (
      transformers("\"hidden_size\": 64, \"patch_size\": 8, \"intermediate_size\": 256, \"num_attention_heads\": 2"), 2,
      .quickgelu
    ),
    (
      ["config.json": "{\"hidden_size\": 64, \"num_attention_heads\": 4, \"hidden_act\": \"gelu\"}"], 4, .gelu
    ),
    (["config.json": "{\"architecture\": \"vit_x_clip_quickgelu_16\", \"num_features\": 64}"], 1, .quickgelu),
    (
      ["config.json": "{\"architecture\": \"vit_x\", \"num_features\": 64, \"model_args\": {\"num_heads\": 4}}"], 4,
      .quickgelu
    ),
  ] as [([String: String], Int, Activation)])
func aConfigurationBesideTheWeightsSaysHeadsAndActivation(files: [String: String], heads: Int, activation: Activation)
  throws
{
  let place = try Place(.openCLIP, files)
  let encoder = try place.encoder()
  #expect(encoder.heads == heads && encoder.activation == activation, "\(encoder.notes)")
  #expect(encoder.notes.contains { $0.contains(files.keys.first ?? "?") }, "\(encoder.notes)")
  let set = try place.encoder {
    $0.heads = 32
    $0.activation = activation == .gelu ? .quickgelu : .gelu
  }
  #expect(set.heads == 32 && set.activation != activation, "settings come first")
}

/// ViT-B/32 as transformers stores it: nothing but what differs from the class's defaults.
@Test func aStoredCLIPConfigurationLeavesOutWhatEqualsTheDefaults() throws {
  let folder = try TemporaryFolder()
  var tiny = TinyEncoder(.huggingFace, width: 768, blocks: 1)
  tiny.tensors["vision_model.embeddings.patch_embedding.weight"] = (
    [768, 3, 32, 32], [Float](repeating: 0, count: 768 * 3 * 32 * 32)
  )
  let path = try tiny.write("\(folder.path)/w.safetensors")
  try Data("{\"model_type\": \"clip\", \"vision_config\": {\"model_type\": \"clip_vision_model\"}}".utf8).write(
    to: URL(fileURLWithPath: "\(folder.path)/config.json"))
  let encoder = try ImageEncoder(tinyOptions(path) { $0.imageSide = 64 }, store: ParameterStore())
  #expect(encoder.heads == 12 && encoder.activation == .quickgelu)
  #expect(encoder.notes.contains { $0.contains("heads 12 (config.json)") }, "\(encoder.notes)")
  #expect(encoder.notes.contains { $0.contains("12 blocks, the file has 1") }, "\(encoder.notes)")
}

@Test(arguments: [
  openCLIP("\"width\": 128, \"head_width\": 16, \"patch_size\": 8"),
  openCLIP("\"width\": 64, \"head_width\": 16, \"patch_size\": 32"),
  openCLIP("\"width\": 64, \"head_width\": 16, \"patch_size\": 8, \"mlp_ratio\": 2.0"),
  openCLIP("\"width\": 64, \"layers\": [3, 4, 6, 3]"), openCLIP("\"timm_model_name\": \"vit\""),
  transformers("\"hidden_size\": 128"), ["config.json": "{\"colour\": \"blue\"}"],
]) func aConfigurationOfAnotherEncoderIsPassedOverAndTold(files: [String: String]) throws {
  let encoder = try Place(.openCLIP, files).encoder()
  #expect(encoder.heads == 1 && encoder.activation == .quickgelu)
  let name = files.keys.first ?? ""
  #expect(encoder.notes.contains { $0.contains(name) && $0.contains("passed over") }, "\(encoder.notes)")
}

@Test func configurationsThatContradictEachOtherAreToldAndTheSettingDecides() throws {
  let place = try Place(
    .openCLIP,
    openCLIP("\"width\": 64, \"head_width\": 16, \"patch_size\": 8").merging(
      ["config.json": "{\"hidden_size\": 64, \"num_attention_heads\": 2, \"hidden_act\": \"quick_gelu\"}"]) { $1 })
  let failure = place.refusal()
  #expect(failure?.code == .badConfiguration && failure?.message.contains("encoder.heads") == true)
  #expect(place.refusal { $0.heads = 4 }?.message.contains("encoder.activation") == true)
  let encoder = try place.encoder {
    $0.heads = 4
    $0.activation = .gelu
  }
  #expect(encoder.heads == 4 && encoder.activation == .gelu)
}

@Test(arguments: [
  "{\"hidden_size\": 64", "", "[1]", "{\"hidden_size\": \"wide\"}", "{\"hidden_size\": 64.5}",
  "{\"hidden_size\": 64, \"num_attention_heads\": 0}", "{\"hidden_size\": 64, \"num_attention_heads\": 7}",
  "{\"hidden_size\": 64, \"hidden_act\": 3}", "{\"hidden_size\": 64, \"hidden_act\": \"gelu_pytorch_tanh\"}",
  "{\"vision_cfg\": {\"width\": 64, \"head_width\": 60}}", "{\"vision_cfg\": {\"width\": 64, \"mlp_ratio\": \"4\"}}",
]) func aBrokenOrImpossibleConfigurationIsToldUnlessBothAreSet(text: String) throws {
  let place = try Place(.openCLIP, ["config.json": text])
  let failure = place.refusal()
  #expect(failure?.code == .badData && failure?.message.contains("config.json") == true, "\(failure?.message ?? "")")
  let encoder = try place.encoder {
    $0.heads = 2
    $0.activation = .gelu
  }
  #expect(encoder.heads == 2 && encoder.activation == .gelu)
}

@Test func rotaryPositionsThatNoTensorShowsAreRefusedWhereTheConfigurationNamesThem() throws {
  let place = try Place(.timm, ["config.json": "{\"architecture\": \"vit_pe_spatial_x\", \"num_features\": 64}"])
  let failure = place.refusal()
  #expect(failure?.code == .badData && failure?.message.contains("vit_pe_spatial_x") == true)
}

@Test func theNormsEpsIsTheConfigurations() throws {
  let files = ["config.json": "{\"hidden_size\": 64, \"num_attention_heads\": 1, \"layer_norm_eps\": 0.01}"]
  let (usual, said) = (try Place().encoder(), try Place(.openCLIP, files).encoder())
  #expect(usual.file.normEpsilon == 1e-5 && said.file.normEpsilon == 0.01)
  #expect(lastStates(usual) != lastStates(said))
  #expect(said.notes.contains { $0.contains("0.01") }, "\(said.notes)")
}

@Test func settingsThatDoNotFitTheEncoderAreRefusedWithTheirKey() throws {
  let place = try Place(width: 48)
  func refusal(_ change: (inout EncoderOptions) -> Void) -> Failure? {
    place.refusal {
      $0.heads = 2
      change(&$0)
    }
  }
  #expect(refusal { _ in } == nil)
  for (change, key) in [
    ({ $0.imageSide = 25 }, "image.size"), ({ $0.heads = 5 }, "encoder.heads"), ({ $0.heads = nil }, "encoder.heads"),
    ({ $0.depth = 3 }, "encoder.depth"), ({ $0.loraBlocks = [3] }, "lora.blocks"), ({ $0.depth = 0 }, "encoder.depth"),
  ] as [((inout EncoderOptions) -> Void, String)] {
    let failure = refusal(change)
    #expect(failure?.code == .badConfiguration && failure?.message.contains(key) == true, "\(key)")
  }
  #expect(refusal { $0.weights = "/nowhere.safetensors" }?.code == .missingInput)
}

@Test(arguments: ["config.json", "open_clip_config.json"]) func aConfigurationThatIsALinkToNowhereIsMissed(name: String)
  throws
{
  let place = try Place()
  try FileManager.default.createSymbolicLink(
    atPath: "\(place.folder.path)/\(name)", withDestinationPath: "../../blobs/3f1c")
  let failure = place.refusal()
  #expect(failure?.code == .missingInput, "\(failure as Any)")
  #expect(failure?.message.contains("\(name): is a link that leads nowhere") == true, "\(failure as Any)")
  let set = try place.encoder {
    $0.heads = 1
    $0.activation = .gelu
  }
  #expect(set.notes.contains { $0.contains(name) && $0.contains("passed over") }, "\(set.notes)")
}
