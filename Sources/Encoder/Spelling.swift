import Failures

/// The three ways in which image encoders are named in files (reference: each project's own code).
public enum Spelling: String, Sendable {
  /// Hugging Face transformers, `vision_model.…`.
  case huggingFace = "Hugging Face CLIP"
  /// OpenAI and open_clip, `visual.…`, with fused q, k, v.
  case openCLIP = "OpenAI/open_clip"
  /// timm, `blocks.0.attn.qkv.weight`, with fused q, k, v.
  case timm = "timm ViT"

  /// Recognises a file by the name of its patch convolution; a `conv1.weight`, which convolutional networks have, too,
  /// only beside a class token or blocks.
  ///
  /// - Returns: the spelling, and the prefix that all its names carry: the tower's own name (a tower that was saved
  ///   alone has none), behind `module.` where a wrapper has added it.
  static func recognise(_ file: SafetensorsFile) throws -> (Spelling, prefix: String) {
    for spelling in [Spelling.huggingFace, .openCLIP, .timm] {
      for prefix in [spelling.tower, "module.\(spelling.tower)", "", "module."]
      where file.tensors[prefix + spelling.patchWeight] != nil && spelling.isTransformer(file, prefix: prefix) {
        try spelling.checkKind(file, prefix: prefix)
        return (spelling, prefix)
      }
    }
    let some = file.tensors.keys.sorted().prefix(3).joined(separator: ", ")
    throw Failure.badData(
      "\(file.path): holds no image encoder that is known by its names: expected vision_model.… (Hugging Face CLIP), "
        + "visual.… (OpenAI, open_clip) or blocks.… (timm), found \(some.isEmpty ? "no tensors" : some)")
  }

  /// Parts of other vision transformers, which change what such a file computes and which this encoder has not.
  private static let foreignParts = [
    ".ls1.gamma", ".ls2.gamma", ".gamma_1", ".gamma_2", ".ls_1.gamma", ".attn.q_norm.weight",
    ".attn.relative_position_bias_table",
    "reg_token", "register_tokens", "dist_token",
  ]

  private func isTransformer(_ file: SafetensorsFile, prefix: String) -> Bool {
    guard self == .openCLIP, file.tensors[prefix + classToken] == nil else { return true }
    return file.tensors.keys.contains { $0.hasPrefix("\(prefix)\(block(0)).") }
  }

  private func checkKind(_ file: SafetensorsFile, prefix: String) throws {
    let part = file.tensors.keys.filter { $0.hasPrefix(prefix) }.sorted().first { name in
      Self.foreignParts.contains { $0.hasPrefix(".") ? name.hasSuffix($0) : name == prefix + $0 }
    }
    if let part {
      throw Failure.badData(
        "\(file.path): tensor \(part) belongs to another kind of vision transformer than \(rawValue); this encoder cannot compute it"
      )
    }
  }

  /// The image tower's name in a file that holds other towers, too.
  private var tower: String {
    switch self {
    case .huggingFace: "vision_model."
    case .openCLIP: "visual."
    case .timm: ""
    }
  }

  var patchWeight: String {
    switch self {
    case .huggingFace: "embeddings.patch_embedding.weight"
    case .openCLIP: "conv1.weight"
    case .timm: "patch_embed.proj.weight"
    }
  }

  var patchBias: String? { self == .timm ? "patch_embed.proj.bias" : nil }

  var classToken: String {
    switch self {
    case .huggingFace: "embeddings.class_embedding"
    case .openCLIP: "class_embedding"
    case .timm: "cls_token"
    }
  }

  var positions: String {
    switch self {
    case .huggingFace: "embeddings.position_embedding.weight"
    case .openCLIP: "positional_embedding"
    case .timm: "pos_embed"
    }
  }

  /// The norm before block 1; the misspelling is Hugging Face's own.
  var normBefore: String {
    switch self {
    case .huggingFace: "pre_layrnorm"
    case .openCLIP: "ln_pre"
    case .timm: "norm_pre"
    }
  }

  /// The stem of a block's names, counted from 0 as in files.
  func block(_ index: Int) -> String {
    switch self {
    case .huggingFace: "encoder.layers.\(index)"
    case .openCLIP: "transformer.resblocks.\(index)"
    case .timm: "blocks.\(index)"
    }
  }

  var norm1: String { ["layer_norm1", "ln_1", "norm1"][column] }
  var norm2: String { ["layer_norm2", "ln_2", "norm2"][column] }
  var attentionOut: String { ["self_attn.out_proj", "attn.out_proj", "attn.proj"][column] }
  var fc1: String { ["mlp.fc1", "mlp.c_fc", "mlp.fc1"][column] }
  var fc2: String { ["mlp.fc2", "mlp.c_proj", "mlp.fc2"][column] }

  /// The fused q, k, v (rows q, then k, then v), or nil where each has its own tensor.
  var fusedWeight: String? { [nil, "attn.in_proj_weight", "attn.qkv.weight"][column] }
  var fusedBias: String? { [nil, "attn.in_proj_bias", "attn.qkv.bias"][column] }

  private var column: Int {
    switch self {
    case .huggingFace: 0
    case .openCLIP: 1
    case .timm: 2
    }
  }

  /// OpenAI's for both CLIP spellings, 0.5 for a plain timm ViT (docs/model.md, "Data and order").
  func mean(hasNormBefore: Bool) -> [Float] {
    self == .timm && !hasNormBefore ? [0.5, 0.5, 0.5] : [0.48145466, 0.4578275, 0.40821073]
  }

  func standardDeviation(hasNormBefore: Bool) -> [Float] {
    self == .timm && !hasNormBefore ? [0.5, 0.5, 0.5] : [0.26862954, 0.26130258, 0.27577711]
  }
}
