import Foundation

/// What files that are given for safetensors often are instead, told by their first bytes.
enum ForeignFormat {
  private static let convert = "convert it by scripts/convert-weights"

  /// Of formats that begin with fixed bytes, at an offset: what the file is, and what to do.
  private static let beginnings: [(offset: Int, bytes: [UInt8], sentence: String)] = [
    (
      0, Array("version https://git-lfs.github.com/spec/".utf8),
      "is a git-lfs pointer, not the weights that it points to: run git lfs pull where it was cloned, or download the "
        + "file itself"
    ),
    (0, [0x80, 0x02], "is a pickle, as torch.save wrote before torch 1.6: \(convert)"),
    (0, [0x80, 0x03], "is a Python pickle: if torch.save wrote it, \(convert)"),
    (0, [0x80, 0x04], "is a Python pickle: if torch.save wrote it, \(convert)"),
    (0, [0x80, 0x05], "is a Python pickle: if torch.save wrote it, \(convert)"),
    (0, [0x1F, 0x8B], "is compressed by gzip: unpack it first (gunzip, or tar xzf)"),
    (0, [0x28, 0xB5, 0x2F, 0xFD], "is compressed by zstd: unpack it first (unzstd)"),
    (0, [0xFD, 0x37, 0x7A, 0x58, 0x5A, 0x00], "is compressed by xz: unpack it first (unxz)"),
    (0, Array("BZh".utf8), "is compressed by bzip2: unpack it first (bunzip2)"),
    (257, Array("ustar".utf8), "is a tar archive: unpack it first (tar xf)"),
    (
      0, Array("ala-checkpoint".utf8),
      "is a checkpoint of ala, which holds no encoder: name the encoder's own safetensors file"
    ),
    (0, Array("GGUF".utf8), "is a GGUF file: take the model's safetensors file instead"),
    (0, [0x93] + Array("NUMPY".utf8), "is a NumPy array: expected safetensors"),
    (0, [0xFF, 0xD8, 0xFF], "is a JPEG image: expected safetensors"),
    (0, [0x89] + Array("PNG".utf8), "is a PNG image: expected safetensors"),
    (0, Array("GIF8".utf8), "is a GIF image: expected safetensors"),
    (8, Array("WEBP".utf8), "is a WebP image: expected safetensors"),
  ]

  private static let hdf5: [UInt8] = [0x89, 0x48, 0x44, 0x46, 0x0D, 0x0A, 0x1A, 0x0A]

  /// A sentence about a file of another format, to stand behind its path; nil for what may be safetensors.
  static func recognise(_ bytes: UnsafeRawBufferPointer) -> String? {
    guard bytes.count > 0 else { return "is empty: expected safetensors (was it downloaded wholly?)" }
    guard !SafetensorsHeader.isBeginning(bytes) else { return nil }
    func begins(_ magic: [UInt8], at offset: Int = 0) -> Bool {
      bytes.count >= offset + magic.count && bytes[offset..<(offset + magic.count)].elementsEqual(magic)
    }
    if begins(Array("PK\u{3}\u{4}".utf8)) { return zip(bytes) }
    if let format = beginnings.first(where: { begins($0.bytes, at: $0.offset) }) { return format.sentence }
    // HDF5 may have a user block in front, of 512 bytes or a power of two of that.
    if [0, 512, 1024, 2048].contains(where: { begins(hdf5, at: $0) }) {
      return "is HDF5, as Keras and TensorFlow write weights: take the model's safetensors file instead"
    }
    return text(bytes)
  }

  /// By the first name in the archive: torch's are FOLDER/data.pkl, FOLDER/data/0 and the like.
  private static func zip(_ bytes: UnsafeRawBufferPointer) -> String {
    let head = String(decoding: bytes.prefix(256), as: UTF8.self)
    if head.contains(".npy") { return "is a NumPy .npz archive: expected safetensors" }
    if head.contains("/data") || head.contains("/version") {
      return "is a file of torch.save or TorchScript: \(convert)"
    }
    return "is a zip archive: if torch.save wrote it (.pt, .pth, .bin), \(convert); else unpack it first"
  }

  private static func text(_ bytes: UnsafeRawBufferPointer) -> String? {
    // Bytes that are no UTF-8 become marks, which none of the words below has.
    let head = String(decoding: bytes.prefix(1024), as: UTF8.self)
      .trimmingCharacters(in: .whitespacesAndNewlines.union(CharacterSet(charactersIn: "\u{FEFF}"))).lowercased()
    if head.hasPrefix("<!doctype html") || head.hasPrefix("<html") || (head.hasPrefix("<") && head.contains("<html")) {
      return "is a web page (HTML), not weights: the download went wrong, for it wants a login, or another address"
    }
    if head.hasPrefix("<?xml") { return "is XML, not weights: what a server answers instead of a file" }
    if head.contains("/annex/objects/") && !head.contains("\n") {
      return "is a git-annex pointer, not the weights that it points to: run git annex get"
    }
    if head.hasPrefix("{") {
      return
        "is JSON without a weight_map that can be read: expected safetensors, or a sharded file's whole …index.json"
    }
    return isText(bytes) ? "is a text, beginning with \"\(head.prefix(40))\": expected safetensors" : nil
  }

  /// Whether a file begins with nothing but printable characters and white space.
  private static func isText(_ bytes: UnsafeRawBufferPointer) -> Bool {
    // A character of several bytes may be cut at the end of what is looked at.
    let head = String(decoding: bytes.prefix(1024), as: UTF8.self).unicodeScalars.dropLast(bytes.count > 1024 ? 1 : 0)
    return head.allSatisfy { scalar in
      scalar != "\u{FFFD}" && (scalar.properties.generalCategory != .control || scalar.properties.isWhitespace)
    }
  }
}
