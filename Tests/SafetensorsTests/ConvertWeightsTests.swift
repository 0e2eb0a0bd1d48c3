import Foundation
import Safetensors
import TestSupport
import Testing

/// `scripts/convert-weights`, where the Python on the PATH has torch.

private let hasPython = (try? python(["-c", ""]))?.code == 0
private let hasTorch = (try? python(["-c", findLibraries]))?.code == 0
private let findLibraries =
  "import importlib.util as u, sys; sys.exit(not (u.find_spec('torch') and u.find_spec('safetensors')))"

private func python(_ arguments: [String], in folder: String = repositoryRoot) throws -> ProcessResult {
  try run("/usr/bin/env", ["python3"] + arguments, in: folder)
}

/// Makes files by Python first.
private func convert(_ folder: TemporaryFolder, _ make: String, _ arguments: [String]) throws -> ProcessResult {
  let made = try python(["-c", "import torch, os, json\n\(make)"], in: folder.path)
  #expect(made.code == 0, "\(made.errors)")
  return try convert(folder, arguments)
}

private func convert(_ folder: TemporaryFolder, _ arguments: [String]) throws -> ProcessResult {
  try python(["\(repositoryRoot)/scripts/convert-weights"] + arguments, in: folder.path)
}

@Test(.enabled(if: hasTorch, "no Python with torch and safetensors is there"))
func whatTorchSavedIsConvertedWithItsNamesTypesAndValues() throws {
  let folder = try TemporaryFolder()
  let make = """
    t = torch.arange(6.0).reshape(2, 3)
    torch.save({'epoch': 1, 'state_dict': {'a': t, 'b': t.T.half(), 'n': torch.tensor([7])}}, 'one.pt')
    torch.save({'c': t[0]}, 'two.bin', _use_new_zipfile_serialization=False)
    json.dump({'weight_map': {'a': 'one.pt', 'c': 'two.bin'}}, open('both.bin.index.json', 'w'))
    """
  let result = try convert(folder, make, ["both.bin.index.json", "out.safetensors"])
  #expect(result.code == 0, "\(result.errors)")
  let file = try SafetensorsFile(path: "\(folder.path)/out.safetensors")
  #expect(file.tensors.mapValues(\.type) == ["a": "F32", "b": "F16", "n": "I64", "c": "F32"])
  let b = try #require(file.tensors["b"])
  #expect(b.shape == [3, 2] && Array(file.bytes(of: b).bindMemory(to: Float16.self)) == [0, 3, 1, 4, 2, 5])
  for name in ["one.pt", "two.bin"] {
    #expect(throws: (any Error).self) { try SafetensorsFile(path: "\(folder.path)/\(name)") }
  }
  #expect(try convert(folder, ["one.pt", "out.safetensors"]).code == 73, "nothing is replaced unasked")
}

@Test(.enabled(if: hasTorch, "no Python with torch and safetensors is there"))
func convertingRunsNothingThatAFileHolds() throws {
  let folder = try TemporaryFolder()
  let make = """
    class Harm:
        def __reduce__(self): return (os.system, ('touch harmed',))
    torch.save({'x': Harm()}, 'harm.pt')
    torch.jit.script(torch.nn.Linear(2, 2)).save('program.pt')
    """
  #expect(try convert(folder, make, ["harm.pt", "out.safetensors"]).code == 65)
  #expect(try convert(folder, ["program.pt", "out.safetensors"]).code == 65)
  #expect(try convert(folder, ["--torchscript", "program.pt", "program.safetensors"]).code == 0)
  #expect(!FileManager.default.fileExists(atPath: "\(folder.path)/harmed"))
  #expect(!FileManager.default.fileExists(atPath: "\(folder.path)/out.safetensors"))
}

@Test(.enabled(if: hasTorch, "no Python with torch and safetensors is there"))
func aVisionTransformerOfTorchvisionOrTransformersGetsTimmsNames() throws {
  let folder = try TemporaryFolder()
  // q is 1, k is 2, v is 3; what is called alike before and after keeps its values.
  let make = """
    one = lambda *shape: torch.ones(shape)
    torch.save({'module.' + name: value for name, value in {
      'class_token': one(1, 1, 2), 'conv_proj.weight': one(2, 3, 4, 4), 'conv_proj.bias': one(2), 'encoder.pos_embedding': one(1, 5, 2),
      'encoder.layers.encoder_layer_10.ln_1.weight': one(2), 'encoder.layers.encoder_layer_10.mlp.3.bias': one(2),
      'encoder.layers.encoder_layer_10.self_attention.in_proj_weight': torch.cat([one(2, 2), 2 * one(2, 2), 3 * one(2, 2)]),
      'encoder.ln.weight': one(2), 'heads.head.weight': one(5, 2)}.items()}, 'vision.pth')
    def transformers(block, q, out, fc1):
      names = {'embeddings.cls_token': one(1, 1, 2), 'embeddings.patch_embeddings.projection.weight': one(2, 3, 4, 4),
        'embeddings.position_embeddings': one(1, 5, 2), 'layernorm.weight': one(2), 'pooler.dense.bias': one(2),
        block + '.layernorm_before.weight': one(2), block + out + '.bias': one(2), block + fc1 + '.bias': one(2)}
      return names | {block + name + '.weight': (at + 1) * one(2, 2) for at, name in enumerate(q)}
    old = transformers('encoder.layer.10', ['.attention.attention.' + n for n in ('query', 'key', 'value')],
      '.attention.output.dense', '.intermediate.dense')
    torch.save({'vit.' + name: value for name, value in old.items()}, 'old.bin')
    torch.save(transformers('layers.10', ['.attention.%s_proj' % n for n in 'qkv'], '.attention.o_proj', '.mlp.fc1'), 'new.bin')
    del old['encoder.layer.10.attention.attention.key.weight']
    torch.save(old, 'part.bin')
    """
  #expect(try convert(folder, make, ["part.bin", "out.safetensors"]).code == 65)
  for (name, own) in [
    ("vision.pth", ["patch_embed.proj.bias", "blocks.10.mlp.fc2.bias", "head.weight"]),
    ("old.bin", ["blocks.10.attn.proj.bias", "blocks.10.mlp.fc1.bias"]),
    ("new.bin", ["blocks.10.attn.proj.bias", "blocks.10.mlp.fc1.bias"]),
  ] {
    let result = try convert(folder, [name, "\(name).safetensors"])
    #expect(result.code == 0, "\(result.errors)")
    let file = try SafetensorsFile(path: "\(folder.path)/\(name).safetensors")
    let common = ["cls_token", "pos_embed", "patch_embed.proj.weight", "norm.weight", "blocks.10.norm1.weight"]
    #expect(Set(file.tensors.keys) == Set(common + ["blocks.10.attn.qkv.weight"] + own))
    let fused = try #require(file.tensors["blocks.10.attn.qkv.weight"])
    #expect(fused.shape == [6, 2])
    #expect(Array(file.bytes(of: fused).bindMemory(to: Float.self)) == [1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3])
    #expect(
      result.output.contains("become timm's") && result.output.contains("pooler.dense.bias") == (name != "vision.pth"))
  }
}

@Test(.enabled(if: hasTorch, "no Python with torch and safetensors is there"))
func whatTrainingProgramsSaveBesideTheWeightsIsNoHindrance() throws {
  let folder = try TemporaryFolder()
  let make = """
    import argparse, numpy
    torch.save({'model': {'a': torch.ones(2)}, 'args': argparse.Namespace(lr=1), 'best': numpy.float64(0.5)}, 'one.pth')
    """
  let result = try convert(folder, make, ["one.pth", "out.safetensors"])
  #expect(result.code == 0, "\(result.errors)")
  #expect(try convert(folder, ["out.safetensors", "again.safetensors"]).code == 0)
}

@Test(.enabled(if: hasPython, "no Python is there"))
func overwritingReplacesNothingThatIsReadIsNoSafetensorsFileOrWasMadeByACommand() throws {
  let folder = try TemporaryFolder()
  for name in ["data/sub", "run"] {
    try FileManager.default.createDirectory(atPath: "\(folder.path)/\(name)", withIntermediateDirectories: true)
  }
  func write(_ bytes: [UInt8], _ name: String) throws {
    try Data(bytes).write(to: URL(fileURLWithPath: "\(folder.path)/\(name)"))
  }
  let empty: [UInt8] = [2, 0, 0, 0, 0, 0, 0, 0] + Array("{}".utf8)
  for name in ["in.safetensors", "data/encoder.safetensors", "data/sub/x.safetensors"] { try write(empty, name) }
  let names = ["encoder.safetensors", "sub/x.safetensors"]
  try write(Array(names.map { String(repeating: "0", count: 64) + "  \($0)\n" }.joined().utf8), "data/.ala-made-synth")
  try write(Array("{\"train\": []}".utf8), "run/split.json")
  symlink("data/encoder.safetensors", "\(folder.path)/link.safetensors")
  for (out, words) in [
    ("./in.safetensors", "this command reads"), ("run/split.json", "is no safetensors file"), ("run", "is no safe"),
    ("data/encoder.safetensors", "made by ala synth"), ("data/sub/x.safetensors", "made by ala synth"),
    ("link.safetensors", "made by ala synth"),
  ] {
    let result = try convert(folder, ["--overwrite", "in.safetensors", out])
    #expect(result.code == 73 && result.errors.contains(words), "\(out): \(result.code) \(result.errors)")
  }
}
