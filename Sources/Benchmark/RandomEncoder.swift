import Cluster
import Failures
import Files
import Foundation
import Randomness
import Safetensors

/// A ViT-B/16 with random weights in open_clip's names.
public enum RandomEncoder {
  /// Writes the file on each machine and hands it to `body`. It has no name that a signal could leave behind, and is gone
  /// when `body` returns.
  static func with<Value>(_ cluster: Cluster, _ body: (String) throws -> Value) throws -> Value {
    let own = try cluster.agree { try cluster.localRank == 0 ? makeFile() : nil }
    var place = Array((own?.place ?? "").utf8)
    cluster.machineBroadcast(&place)
    let file = try cluster.agree {
      try own ?? AnonymousFile(place: String(decoding: place, as: UTF8.self)) ?? makeFile()
    }
    return try withExtendedLifetime(file) { try body(file.path) }
  }

  private static func makeFile() throws -> AnonymousFile {
    let file = try AnonymousFile(in: NSTemporaryDirectory())
    try write(through: file.append)
    return file
  }

  /// Writes the file under a name.
  public static func write(to path: String) throws { try writeAtomically(to: path) { try write(through: $0) } }

  /// [out, in] weights uniform in ±1/√in, norms about 1.
  private static func write(through write: (UnsafeRawBufferPointer) throws -> Void) throws {
    let (D, p, blocks, tokens) = (768, 16, 12, 197)
    var tensors: [(name: String, shape: [Int], scale: Float, centre: Float)] = []
    func add(_ name: String, _ shape: [Int], _ scale: Float, about centre: Float = 0) {
      tensors.append((name, shape, scale, centre))
    }
    add("visual.conv1.weight", [D, 3, p, p], 0.05)
    add("visual.class_embedding", [D], 0.5)
    add("visual.positional_embedding", [tokens, D], 0.2)
    for (part, centre) in [("weight", Float(1)), ("bias", 0)] { add("visual.ln_pre.\(part)", [D], 0.1, about: centre) }
    for block in 0..<blocks {
      let stem = "visual.transformer.resblocks.\(block)"
      for norm in ["ln_1", "ln_2"] {
        for (part, centre) in [("weight", Float(1)), ("bias", 0)] {
          add("\(stem).\(norm).\(part)", [D], 0.1, about: centre)
        }
      }
      for (name, outputs, inputs) in [
        ("attn.in_proj_", 3 * D, D), ("attn.out_proj.", D, D), ("mlp.c_fc.", 4 * D, D), ("mlp.c_proj.", D, 4 * D),
      ] {
        add("\(stem).\(name)weight", [outputs, inputs], 1 / Float(inputs).squareRoot())
        add("\(stem).\(name)bias", [outputs], 0.02)
      }
    }
    try writeSafetensors(tensors.map { ($0.name, $0.shape) }, through: write) { index in
      let (name, shape, scale, centre) = tensors[index]
      var stream = RandomStream(seed: 1, name: name)
      let factor = 2 * scale / Float(UInt32.max)
      return (0..<shape.reduce(1, *)).map { _ in Float(stream.bits()) * factor - scale + centre }
    }
  }
}
