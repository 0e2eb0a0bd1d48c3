import Failures
import Files
import Foundation
import Layers

/// What a configuration file of transformers, open_clip or timm that lies beside the weights says of the encoder, as
/// far as the weights themselves do not: heads, activation, the norms' eps.
struct EncoderDescription {
  /// The file's name, for messages.
  let name: String
  let width: Int
  var patch: Int?
  var blocks: Int?
  /// The values between a block's fc1 and fc2.
  var hidden: Int?
  var heads: Int?
  var activation: String?
  var normEpsilon: Double?
  /// The model's name in timm.
  var architecture: String?

  private static let mostBytes = 1 << 26
  private static let names = ["config.json", "open_clip_config.json"]

  /// Every such file beside `weights` that is there. A link that leads nowhere is there, too: what it says is missing.
  ///
  /// - Returns: what is described, and a sentence about every file that describes nothing.
  /// - Throws: `Failure` 66 for a file that cannot be opened; 65 for one that is no JSON object, or whose values are of a wrong type.
  static func beside(_ weights: String) throws -> (found: [EncoderDescription], notes: [String]) {
    let folder = parentFolder(of: weights)
    var (found, notes): ([EncoderDescription], [String]) = ([], [])
    for name in names {
      let path = folder.isEmpty ? name : "\(folder)/\(name)"
      var status = stat()
      guard lstat(path, &status) == 0 else { continue }
      guard status.st_mode & S_IFMT != S_IFLNK || stat(path, &status) == 0 else {
        throw Failure.missingInput(
          "\(path): is a link that leads nowhere (\(systemReason())); what it should lead to may say how many heads and "
            + "which activation the encoder has: mend it, or set encoder.heads and encoder.activation")
      }
      let bytes = try readFile(path, most: mostBytes)
      guard let object = try? JSONSerialization.jsonObject(with: Data(bytes)) as? [String: Any] else {
        throw Failure.badData(
          "\(path): is no JSON object that can be read; it lies beside the encoder's weights and may say how many heads "
            + "and which activation they have: mend it, or set encoder.heads and encoder.activation")
      }
      if let description = try EncoderDescription(JSONReader(object, path: path), name: name) {
        found.append(description)
      } else {
        notes.append("\(path) passed over: it describes no image encoder")
      }
    }
    return (found, notes)
  }

  /// Why the description is of another encoder than the weights' shapes show, or nil where it fits.
  func mismatch(_ shape: EncoderShape) -> String? {
    for (what, said, found) in [
      ("width", width, shape.width), ("patch", patch ?? shape.patch, shape.patch),
      ("hidden width", hidden ?? shape.hidden, shape.hidden),
    ] where said != found {
      return "it describes an encoder of \(what) \(said), the file has \(found)"
    }
    return nil
  }

  private init?(_ json: JSONReader, name: String) throws {
    if let vision = try json.object("model_cfg")?.object("vision_cfg") ?? json.object("vision_cfg") {
      guard let description = try Self.openCLIP(vision, model: json.object("model_cfg") ?? json, name: name)
      else { return nil }
      self = description
    } else if let vision = try json.object("vision_config") ?? json.object("vision_config_dict") {
      let kinds = [try json.text("model_type"), try vision.text("model_type")]
      self = try Self.transformers(vision, isCLIP: kinds.contains("clip") || kinds.contains("clip_vision_model"), name)
    } else if try json.integer("hidden_size") != nil || json.text("model_type") == "clip_vision_model" {
      self = try Self.transformers(json, isCLIP: json.text("model_type") == "clip_vision_model", name)
    } else if let architecture = try json.text("architecture"), let width = try json.integer("num_features") {
      self.init(name: name, width: width)
      self.architecture = architecture
      let arguments = try json.object("model_args")
      heads = try arguments?.integer("num_heads")
      activation = try arguments?.text("act_layer") ?? Self.activation(ofTimm: architecture)
    } else {
      return nil
    }
  }

  private init(name: String, width: Int) {
    self.name = name
    self.width = width
  }

  /// `model_cfg` of open_clip: what it leaves out has open_clip's defaults.
  private static func openCLIP(_ vision: JSONReader, model: JSONReader, name: String) throws -> EncoderDescription? {
    // A tower out of timm gives no width to know it by, and a list of layers is a ResNet's.
    guard try vision.text("timm_model_name") == nil, !vision.isList("layers") else { return nil }
    var description = EncoderDescription(name: name, width: try vision.integer("width") ?? 768)
    let headWidth = try vision.integer("head_width") ?? 64
    guard headWidth > 0, description.width % headWidth == 0 else {
      throw Failure.badData(
        "\(vision.path): head_width \(headWidth) does not divide the width of \(description.width)")
    }
    description.heads = description.width / headWidth
    description.patch = try vision.integer("patch_size") ?? 16
    description.blocks = try vision.integer("layers") ?? 12
    description.hidden = Int(
      exactly: (Double(description.width) * (try vision.number("mlp_ratio") ?? 4)).rounded(.down))
    let isQuick = try model.flag("quick_gelu") ?? false
    let approximation = try vision.object("act_kwargs")?.text("approximate") ?? "none"
    description.activation = isQuick ? "quick_gelu" : approximation == "none" ? "gelu" : "gelu_\(approximation)"
    description.normEpsilon = try vision.object("norm_kwargs")?.epsilon("eps")
    return description
  }

  /// transformers' configuration of a vision tower; a CLIP's is stored without what equals the class's defaults.
  private static func transformers(
    _ vision: JSONReader, isCLIP: Bool, _ name: String
  ) throws -> EncoderDescription {
    func or<Value>(_ value: Value?, _ clip: Value) -> Value? { value ?? (isCLIP ? clip : nil) }
    var description = EncoderDescription(name: name, width: or(try vision.integer("hidden_size"), 768) ?? 0)
    description.heads = or(try vision.integer("num_attention_heads"), 12)
    description.patch = or(try vision.integer("patch_size"), 32)
    description.blocks = or(try vision.integer("num_hidden_layers"), 12)
    description.hidden = or(try vision.integer("intermediate_size"), 3072)
    description.activation = or(try vision.text("hidden_act"), "quick_gelu")
    description.normEpsilon = try vision.epsilon("layer_norm_eps")
    let isRotary = try vision.number("rope_theta") != nil || vision.flag("use_rope") == true
    guard !isRotary else {
      throw Failure.badData("\(name): says that the encoder has rotary positions, which this encoder does not compute")
    }
    return description
  }

  /// timm's names of CLIP models say which of the two they were trained with only where it is QuickGELU.
  private static func activation(ofTimm architecture: String) -> String? {
    architecture.contains("quickgelu") ? "quick_gelu" : nil
  }
}

/// A JSON object whose values are of the types asked for.
private struct JSONReader {
  let path: String
  private let object: [String: Any]

  init(_ object: [String: Any], path: String) {
    self.object = object
    self.path = path
  }

  func object(_ key: String) throws -> JSONReader? {
    try value(key, "an object") { ($0 as? [String: Any]).map { JSONReader($0, path: path) } }
  }

  func text(_ key: String) throws -> String? { try value(key, "a text") { $0 as? String } }
  func flag(_ key: String) throws -> Bool? { try value(key, "true or false") { $0 as? Bool } }
  func number(_ key: String) throws -> Double? { try value(key, "a number") { ($0 as? NSNumber)?.doubleValue } }

  /// What a norm adds to a variance.
  func epsilon(_ key: String) throws -> Double? {
    try value(key, "a number above 0 and below 1") {
      ($0 as? NSNumber).map(\.doubleValue).flatMap { $0 > 0 && $0 < 1 ? $0 : nil }
    }
  }

  func integer(_ key: String) throws -> Int? {
    try value(key, "a whole number from 1") {
      ($0 as? NSNumber).flatMap { Int(exactly: $0.doubleValue) }.flatMap { $0 > 0 ? $0 : nil }
    }
  }

  func isList(_ key: String) -> Bool { object[key] is [Any] }

  private func value<Value>(_ key: String, _ kind: String, _ read: (Any) -> Value?) throws -> Value? {
    guard let value = object[key], !(value is NSNull) else { return nil }
    guard let result = read(value) else {
      throw Failure.badData("\(path): \(key) is \(value); expected \(kind)")
    }
    return result
  }
}
