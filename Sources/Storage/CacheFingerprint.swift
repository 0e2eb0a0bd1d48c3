import Foundation

/// What a cache was made from. A cache of another fingerprint is never used.
public struct CacheFingerprint: Equatable, Sendable {
  public let encoderSHA256: String
  /// Activation, heads, mean, std and a precision other than float32, as JSON: what the encoder's file does not say.
  public let encoderSettings: String
  public let viewDefinition: String
  public let datasetSHA256: String
  public let firstLoRABlock: Int
  /// Whether it is made for networks that read different layers of it.
  public let isShared: Bool
  public let layout: CacheLayout

  public init(
    encoderSHA256: String, encoderSettings: String, viewDefinition: String, datasetSHA256: String,
    firstLoRABlock: Int, isShared: Bool = false, layout: CacheLayout
  ) {
    self.encoderSHA256 = encoderSHA256
    self.encoderSettings = encoderSettings
    self.viewDefinition = viewDefinition
    self.datasetSHA256 = datasetSHA256
    self.firstLoRABlock = firstLoRABlock
    self.isShared = isShared
    self.layout = layout
  }

  static let format = "ala-feature-cache"
  static let version: Int64 = 1

  /// The root attributes of every file of the cache.
  var attributes: [(name: String, value: HDF5Attribute)] {
    [
      ("format", .text(Self.format)), ("version", .integer(Self.version)), ("encoder_sha256", .text(encoderSHA256)),
      ("encoder_settings", .text(encoderSettings)), ("view_definition", .text(viewDefinition)),
      ("dataset_sha256", .text(datasetSHA256)), ("first_lora_block", .integer(Int64(firstLoRABlock))),
      ("layers", .text("\(layout.layers)")), ("dtype", .text(layout.type.rawValue)),
    ] + (isShared ? [("shared", .integer(1))] : [])
  }

  /// The same where a file is a shared cache that holds all that is wanted of one: with the file's first LoRA block and
  /// layers in place of one's own. Layers from its h⁽ᵐ⁻¹⁾ on are computed of that.
  func adopting(_ found: [String: HDF5Attribute]) -> CacheFingerprint {
    guard !isShared, found["shared"] == .integer(1), case .integer(let block)? = found["first_lora_block"],
      case .text(let text)? = found["layers"],
      let layers = try? JSONDecoder().decode([Int].self, from: Data(text.utf8)),
      block >= 1, block <= firstLoRABlock, layers.allSatisfy({ (0..<Int(block)).contains($0) }),
      layers == Set(layers).sorted(), Set(layers).isSuperset(of: layout.layers.filter { $0 < block - 1 })
    else { return self }
    return CacheFingerprint(
      encoderSHA256: encoderSHA256, encoderSettings: encoderSettings, viewDefinition: viewDefinition,
      datasetSHA256: datasetSHA256, firstLoRABlock: Int(block), isShared: true,
      layout: CacheLayout(
        side: layout.side, tokens: layout.tokens, width: layout.width, layers: layers, type: layout.type))
  }

  /// The attributes in which a file differs, each with both values.
  func differences(from found: [String: HDF5Attribute]) -> [String] {
    attributes.compactMap { name, expected in
      guard found[name] != expected else { return nil }
      return "\(name) is \(found[name].map(Self.text) ?? "absent"), this run has \(Self.text(expected))"
    }
  }

  private static func text(_ value: HDF5Attribute) -> String {
    switch value {
    case .text(let text): text
    case .integer(let integer): "\(integer)"
    case .number(let number): "\(number)"
    }
  }
}
