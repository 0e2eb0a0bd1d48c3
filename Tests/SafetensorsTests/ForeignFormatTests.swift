import Failures
import Foundation
import Safetensors
import TestSupport
import Testing

/// Files of other formats that are given for safetensors are named for what they are, with what to do.

private let zeros = [UInt8](repeating: 0, count: 600)

/// First bytes by each format's own definition.
private let foreign: [(bytes: [UInt8], words: [String])] = [
  ([], ["empty"]),
  (
    Array("version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 598642696\n".utf8),
    ["git-lfs pointer", "git lfs pull"]
  ),
  (Array("/annex/objects/SHA256E-s5--ab.safetensors\n".utf8), ["git-annex pointer"]),
  ([0x80, 0x02, 0x8A, 0x0A, 0x6C, 0xFC, 0x9C] + zeros, ["pickle", "scripts/convert-weights"]),
  ([0x80, 0x04, 0x95, 0x00] + zeros, ["ickle", "scripts/convert-weights"]),
  (
    [0x50, 0x4B, 3, 4, 0, 0, 8, 8] + zeros.prefix(22) + Array("archive/data.pkl".utf8) + zeros,
    ["torch.save", "scripts/convert-weights"]
  ),
  ([0x50, 0x4B, 3, 4] + zeros, ["zip archive", "scripts/convert-weights"]),
  ([0x1F, 0x8B, 0x08] + zeros, ["gzip"]), ([0x28, 0xB5, 0x2F, 0xFD] + zeros, ["zstd"]),
  ([0xFD, 0x37, 0x7A, 0x58, 0x5A, 0] + zeros, ["xz"]), (zeros.prefix(257) + Array("ustar".utf8) + zeros, ["tar"]),
  (Array("\n<!DOCTYPE html>\n<html><body>Sign in</body></html>".utf8), ["web page"]),
  (Array("<HTML><head>".utf8), ["web page"]), (Array("<?xml version=\"1.0\"?><Error>".utf8), ["XML"]),
  (Array("{\"error\": \"Entry not found\"}".utf8), ["JSON"]),
  ([0x89, 0x48, 0x44, 0x46, 0x0D, 0x0A, 0x1A, 0x0A] + zeros, ["HDF5"]),
  (zeros.prefix(512) + [0x89, 0x48, 0x44, 0x46, 0x0D, 0x0A, 0x1A, 0x0A], ["HDF5"]),
  (Array("ala-checkpoint sha256 00".utf8) + zeros, ["checkpoint of ala"]), (Array("GGUF".utf8) + zeros, ["GGUF"]),
  (Array("Entry not found".utf8), ["is a text", "entry not found"]),
  (Array("run: {dir: runs/a}\ndata: {root: ä}\n".utf8), ["is a text"]),
  ([0xFF, 0xD8, 0xFF, 0xE0] + zeros, ["JPEG"]), (Array("RIFF".utf8) + [1, 0, 0, 0] + Array("WEBPVP8 ".utf8), ["WebP"]),
  ([0x93] + Array("NUMPY".utf8) + zeros, ["NumPy"]), (Array("hello".utf8), ["safetensors"]), (zeros, ["safetensors"]),
]

@Test(arguments: foreign.indices) func aFileOfAnotherFormatIsNamedForWhatItIs(index: Int) throws {
  let folder = try TemporaryFolder()
  let path = "\(folder.path)/weights.safetensors"
  try Data(foreign[index].bytes).write(to: URL(fileURLWithPath: path))
  let failure = #expect(throws: Failure.self) { try SafetensorsFile(path: path) }
  let message = failure?.message ?? ""
  #expect(failure?.code == .badData && message.hasPrefix("\(path): "), "\(message)")
  for word in foreign[index].words { #expect(message.contains(word), "\(message)") }
}

@Test func aFolderIsNoFileOfWeights() throws {
  let folder = try TemporaryFolder()
  let failure = #expect(throws: Failure.self) { try SafetensorsFile(path: folder.path) }
  #expect(failure?.code == .badData && failure?.message.contains("folder") == true, "\(failure?.message ?? "")")
}
