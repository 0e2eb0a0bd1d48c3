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

private func isObeyed(_ scalar: Unicode.Scalar) -> Bool {
  switch scalar {
  case "\n", "\t": false
  default: scalar.value < 0x20 || (0x7F..<0xA0).contains(scalar.value)
  }
}
