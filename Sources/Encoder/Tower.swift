import Failures
import Safetensors

/// An image encoder found in a file: how its tensors are named, and which blocks there are.
struct Tower {
  let file: SafetensorsFile
  let spelling: Spelling
  /// What all its names begin with: the tower's own name (a tower that was saved alone has none), behind whatever
  /// wrappers have added.
  let prefix: String
  /// Its blocks are 0 ..< blockCount in the file's count.
  let blockCount: Int
  let notes: [String]

  /// Recognises the file's one encoder, by the name of its patch convolution.
  ///
  /// - Throws: `Failure` 65 for a file with none or several, one of another kind, or one that lacks a block.
  init(_ file: SafetensorsFile) throws {
    let found = Self.candidates(file)
    let unwrapped = found.filter { $0.wrapper.isEmpty }
    guard let tower = unwrapped.count == 1 ? unwrapped.first : found.first, unwrapped.count == 1 || found.count == 1
    else {
      throw found.isEmpty
        ? Self.unknown(file)
        : Failure.badData(
          "\(file.path): holds \(found.count) image encoders ("
            + found.map { "\($0.prefix)\($0.spelling.patchWeight)" }.joined(separator: ", ") + "); expected one")
    }
    self.file = file
    (spelling, prefix) = (tower.spelling, tower.prefix)
    let others = found.filter { $0.prefix != tower.prefix }
    notes =
      (tower.wrapper.isEmpty ? [] : ["\(file.path): tensors' names begin with \(tower.wrapper), which is taken off"])
      + others.map { "\(file.path): another encoder, \($0.prefix)\($0.spelling.patchWeight), is passed over" }
    blockCount = try Self.countBlocks(file, spelling, prefix: prefix)
    let foreignParts = Self.foreignParts + (spelling == .timm ? ["attn_pool."] : [])
    if let part = file.tensors.keys.filter({ $0.hasPrefix(tower.prefix) }).sorted().first(where: { name in
      foreignParts.contains { name.dropFirst(tower.prefix.count).hasPrefix($0) }
    }) {
      throw Self.foreign(part, file, spelling)
    }
  }

  private typealias Candidate = (spelling: Spelling, prefix: String, wrapper: String)

  /// Every tensor that is named as a patch convolution is; a `conv1.weight`, which convolutional networks have, too,
  /// only beside a class token or blocks.
  private static func candidates(_ file: SafetensorsFile) -> [Candidate] {
    [Spelling.huggingFace, .openCLIP, .timm].flatMap { spelling in
      file.tensors.keys.sorted().compactMap { name -> Candidate? in
        guard name.hasSuffix(spelling.patchWeight) else { return nil }
        let prefix = String(name.dropLast(spelling.patchWeight.count))
        guard prefix.isEmpty || prefix.hasSuffix("."),
          spelling != .openCLIP || file.tensors[prefix + spelling.classToken] != nil
            || file.tensors.keys.contains(where: { $0.hasPrefix("\(prefix)\(spelling.block(0)).") })
        else { return nil }
        let wrapper = prefix.hasSuffix(spelling.tower) ? String(prefix.dropLast(spelling.tower.count)) : prefix
        return (spelling, prefix, wrapper)
      }
    }
  }

  /// Tensors of vision transformers that `scripts/convert-weights` knows.
  private static let convertible = ["conv_proj.weight", "embeddings.patch_embeddings.projection.weight"]

  private static func unknown(_ file: SafetensorsFile) -> Failure {
    let some = file.tensors.keys.sorted().prefix(3).joined(separator: ", ")
    return Failure.badData(
      "\(file.path): holds no image encoder that is known by its names: expected vision_model.… (Hugging Face CLIP), "
        + "visual.… (OpenAI, open_clip) or blocks.… (timm), found \(some.isEmpty ? "no tensors" : some)"
        + (file.tensors.keys.contains { name in convertible.contains { name.hasSuffix($0) } }
          ? "; scripts/convert-weights gives torchvision's and transformers' ViT timm's names" : ""))
  }

  /// - Throws: `Failure` 65 where blocks are not 0, 1, 2, …
  private static func countBlocks(_ file: SafetensorsFile, _ spelling: Spelling, prefix: String) throws -> Int {
    let stem = prefix + spelling.blocks
    // Other spellings of a number are no block's, and are refused as strangers.
    let indices = Set(
      file.tensors.keys.lazy.filter { $0.hasPrefix(stem) }.compactMap { name in
        name.dropFirst(stem.count).prefix { $0 != "." }
      }.compactMap { number in Int(number).flatMap { $0 >= 0 && number == String($0) ? $0 : nil } })
    guard let last = indices.max() else {
      throw Failure.badData("\(file.path): the encoder has no blocks (\(stem)0.…): a part of a model's weights?")
    }
    if let missing = (0...last).first(where: { !indices.contains($0) }) {
      throw Failure.badData(
        "\(file.path): block \(missing + 1) of the encoder (\(stem)\(missing).…) is missing, though there is a block "
          + "\(UInt(last) + 1): a part of a model's weights?")
    }
    return indices.count
  }

  /// Parts outside the blocks that change what they are given or compute, or show that blocks compute something else:
  /// of timm's encoders with a class token those that pool by attention have rotary positions, which are no tensors.
  private static let foreignParts = [
    "rotary", "relative_position", "reg_token", "register_tokens", "dist_token", "rel_pos_bias.", "rope.",
    "rope_embed.", "patchnorm_pre_ln.",
  ]

  /// Refuses what is inside the blocks that are run, or makes the patches' tokens, and would not be used: such a file
  /// computes something else than this encoder.
  ///
  /// - Parameter blocks: k.
  /// - Throws: `Failure` 65 naming the tensor.
  func refuseStrangers(blocks: Int) throws {
    let known = spelling.blockTensors
    let tokens = Set([spelling.patchWeight, spelling.patchBias, spelling.classToken, spelling.positions])
    let makers = prefix + spelling.patchWeight.prefix { $0 != "." } + "."
    for name in file.tensors.keys.sorted() where name.hasPrefix(prefix) {
      let bare = name.dropFirst(prefix.count)
      if bare.hasPrefix(spelling.blocks) {
        let place = bare.dropFirst(spelling.blocks.count).split(separator: ".", maxSplits: 1)
        // "-1", "01" or "x" is the number of no block.
        guard let index = place.first.flatMap({ Int($0) }), index >= 0, place[0] == String(index) else {
          throw Self.foreign(name, file, spelling)
        }
        guard index < blocks else { continue }
        guard place.count == 2, known.contains(String(place[1])) else {
          throw Self.foreign(name, file, spelling)
        }
      } else if let parent = spelling.blocksParent, bare.hasPrefix(parent) {
        throw Self.foreign(name, file, spelling)
      } else if name.hasPrefix(makers), !tokens.contains(String(bare)), isNumeric(name) {
        throw Self.foreign(name, file, spelling)
      }
    }
  }

  /// Position numbers and the like are integers, and no weights.
  private func isNumeric(_ name: String) -> Bool {
    guard let type = file.tensors[name]?.type else { return false }
    return type.hasPrefix("F") || type.hasPrefix("BF")
  }

  private static func foreign(_ name: String, _ file: SafetensorsFile, _ spelling: Spelling) -> Failure {
    Failure.badData(
      "\(file.path): tensor \(name) belongs to another kind of vision transformer than \(spelling.rawValue); this "
        + "encoder cannot compute it")
  }
}
