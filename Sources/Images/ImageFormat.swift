/// What kind of file some bytes are, told by how they begin and never by the name.

/// The kinds that decode.
enum ImageFormat: Equatable {
  case jpeg
  case png

  var name: String { self == .jpeg ? "JPEG" : "PNG" }

  /// How many bytes are needed to tell any kind.
  static let headCount = 64

  init?(_ head: [UInt8]) {
    if head.starts(with: [0xFF, 0xD8, 0xFF]) {
      self = .jpeg
    } else if head.starts(with: [0x89, 0x50, 0x4E, 0x47, 0x0D, 0x0A, 0x1A, 0x0A]) {
      self = .png
    } else {
      return nil
    }
  }
}

/// What to say of a file that is neither JPEG nor PNG: what it is, as far as its first bytes tell, and what to do.
///
/// - Parameter head: the first bytes, `ImageFormat.headCount` of them where there are as many.
func foreignFormat(_ head: [UInt8]) -> String {
  guard !head.isEmpty else { return "is empty; fetch or copy it again" }
  if let picture = foreignPicture(head) { return "is \(picture), not JPEG or PNG; convert it to PNG" }
  let text = String(decoding: head, as: UTF8.self).lowercased().drop { $0.isWhitespace || $0 == "\u{FEFF}" }
  if text.hasPrefix("version https://git-lfs") {
    return "is a pointer of Git LFS, not the image itself; fetch it by git lfs pull"
  }
  if text.hasPrefix("<!doctype html") || text.hasPrefix("<html") {
    return "is a web page, not an image; its download has failed"
  }
  if head.allSatisfy({ $0 == 0 }) { return "begins with zeros alone; its copy or download has failed" }
  return "is neither JPEG nor PNG"
}

/// A picture, film or document of a kind that does not decode, with its article.
private func foreignPicture(_ head: [UInt8]) -> String? {
  func has(_ text: String, at offset: Int = 0) -> Bool { head.dropFirst(offset).starts(with: Array(text.utf8)) }
  if has("RIFF"), has("WEBP", at: 8) { return "a WebP image" }
  if has("GIF87a") || has("GIF89a") { return "a GIF image" }
  if head.starts(with: [0x49, 0x49, 0x2A, 0x00]) || head.starts(with: [0x4D, 0x4D, 0x00, 0x2A])
    || head.starts(with: [0x49, 0x49, 0x2B, 0x00]) || head.starts(with: [0x4D, 0x4D, 0x00, 0x2B])
  {
    return "a TIFF image (or a camera's raw file)"
  }
  // "BM" begins texts too: the reserved fields behind the size are zero.
  if has("BM"), head.count >= 10, head[6..<10].allSatisfy({ $0 == 0 }) { return "a BMP image" }
  if has("ftyp", at: 4) { return isoMedia(head) }
  if head.starts(with: [0xFF, 0x0A]) || has("JXL ", at: 4) { return "a JPEG XL image" }
  if has("jP  ", at: 4) || head.starts(with: [0xFF, 0x4F, 0xFF, 0x51]) { return "a JPEG 2000 image" }
  if has("8BPS") { return "a Photoshop file" }
  if has("%PDF-") { return "a PDF document" }
  if head.count >= 2, head[0] == UInt8(ascii: "P"), (0x31...0x36).contains(head[1]), head.count < 3 || head[2] <= 0x20 {
    return "a Netpbm image (PBM, PGM or PPM)"
  }
  let text = String(decoding: head, as: UTF8.self).drop { $0.isWhitespace || $0 == "\u{FEFF}" }
  if text.hasPrefix("<svg") || text.hasPrefix("<?xml") { return "an SVG drawing or another XML file" }
  return nil
}

/// AVIF, HEIC and films share a container; its brands tell them apart.
private func isoMedia(_ head: [UInt8]) -> String {
  let length = head.prefix(4).reduce(0) { $0 << 8 | Int($1) }
  let box = Array(head.prefix(max(min(length, head.count), 12)).dropFirst(8))
  let brands = stride(from: 0, to: box.count - 3, by: 4).filter { $0 != 4 }.map {
    String(decoding: box[$0..<($0 + 4)], as: UTF8.self)
  }
  if brands.contains(where: { ["avif", "avis"].contains($0) }) { return "an AVIF image" }
  if brands.contains(where: { ["heic", "heix", "heim", "heis", "hevc", "hevx", "mif1", "msf1"].contains($0) }) {
    return "a HEIC image"
  }
  return "a film"
}
