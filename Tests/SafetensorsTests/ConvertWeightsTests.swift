import Foundation
import Safetensors
import TestSupport
import Testing

/// `scripts/convert-weights`, where the Python on the PATH has torch.

private let hasTorch = (try? python(["-c", findLibraries]))?.code == 0
private let findLibraries =
  "import importlib.util as u, sys; sys.exit(not (u.find_spec('torch') and u.find_spec('safetensors')))"

private func python(_ arguments: [String], in folder: String = repositoryRoot) throws -> ProcessResult {
  try run("/usr/bin/env", ["python3"] + arguments, in: folder)
}

private func convert(_ folder: TemporaryFolder, _ make: String, _ arguments: [String]) throws -> ProcessResult {
  let made = try python(["-c", "import torch, os, json\n\(make)"], in: folder.path)
  #expect(made.code == 0, "\(made.errors)")
  return try python(["\(repositoryRoot)/scripts/convert-weights"] + arguments, in: folder.path)
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
  #expect(try convert(folder, "", ["one.pt", "out.safetensors"]).code == 73, "nothing is replaced unasked")
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
  #expect(try convert(folder, "", ["program.pt", "out.safetensors"]).code == 65)
  #expect(try convert(folder, "", ["--torchscript", "program.pt", "program.safetensors"]).code == 0)
  #expect(!FileManager.default.fileExists(atPath: "\(folder.path)/harmed"))
  #expect(!FileManager.default.fileExists(atPath: "\(folder.path)/out.safetensors"))
}
