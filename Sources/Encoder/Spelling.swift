/// The three ways in which image encoders are named in files, each after its project's own code.
public enum Spelling: String, Sendable {
  /// Hugging Face transformers, `vision_model.…`.
  case huggingFace = "Hugging Face CLIP"
  /// OpenAI and open_clip, `visual.…`, with fused q, k, v.
  case openCLIP = "OpenAI/open_clip"
  /// timm, `blocks.0.attn.qkv.weight`, with fused q, k, v.
  case timm = "timm ViT"

  /// The image tower's name in a file that holds other towers, too.
  var tower: String {
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

  /// CLIP has none; a plain ViT has.
  var patchBias: String { patchWeight.replacing(#/weight$/#, with: "bias") }

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

  /// The norm after the last block, which this encoder does not compute.
  var normAfter: String { ["post_layernorm", "ln_post", "norm"][column] }

  /// What all blocks' names begin with.
  var blocks: String { ["encoder.layers.", "transformer.resblocks.", "blocks."][column] }

  /// What holds the blocks and nothing else; nil where they lie beside the rest.
  var blocksParent: String? { ["encoder.", "transformer.", nil][column] }

  /// The stem of a block's names, counted from 0 as in files.
  func block(_ index: Int) -> String { "\(blocks)\(index)" }

  /// The names of a block's tensors, without its stem.
  var blockTensors: Set<String> {
    let maps = fusedWeight == nil ? ["q", "k", "v"].map { "self_attn.\($0)_proj" } : []
    let paired = (maps + [norm1, norm2, attentionOut, fc1, fc2]).flatMap { ["\($0).weight", "\($0).bias"] }
    return Set(paired + [fusedWeight, fusedBias].compactMap { $0 })
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

  /// OpenAI's for both CLIP spellings and timm's CLIP, 0.5 for a plain timm ViT.
  ///
  /// - Parameter isPlain: without a norm before block 1.
  func mean(isPlain: Bool) -> [Float] {
    self == .timm && isPlain ? [0.5, 0.5, 0.5] : [0.48145466, 0.4578275, 0.40821073]
  }

  func standardDeviation(isPlain: Bool) -> [Float] {
    self == .timm && isPlain ? [0.5, 0.5, 0.5] : [0.26862954, 0.26130258, 0.27577711]
  }
}
