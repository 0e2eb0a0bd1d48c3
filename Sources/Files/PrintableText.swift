import Foundation

/// A text without what a terminal would obey: of control characters line feeds and tabs alone stay, others stand as in
/// JSON (`\u001b`). Names, attributes and lines of files are anybody's words.
public func printable(_ text: String) -> String {
  guard text.unicodeScalars.contains(where: isObeyed) else { return text }
  var shown = ""
  for scalar in text.unicodeScalars {
    if isObeyed(scalar) {
      shown += String(format: "\\u%04x", scalar.value)
    } else {
      shown.unicodeScalars.append(scalar)
    }
  }
  return shown
}

/// A name that is no text, by its bytes: what is not printable ASCII stands as `\xff`.
public func escapingBytes(_ bytes: some Sequence<UInt8>) -> String {
  bytes.map { (0x20..<0x7F).contains($0) ? String(UnicodeScalar($0)) : String(format: "\\x%02x", $0) }.joined()
}

private func isObeyed(_ scalar: Unicode.Scalar) -> Bool {
  switch scalar {
  case "\n", "\t": false
  default: scalar.value < 0x20 || (0x7F..<0xA0).contains(scalar.value)
  }
}
