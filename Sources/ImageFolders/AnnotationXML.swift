import Failures
import Files
import Foundation

/// The boxes of PASCAL VOC's and ImageNet's XML, a file a picture.
struct AnnotationXML {
  struct Object {
    let label: String?
    /// xmin, ymin, xmax, ymax; NaN where one is missing or no number.
    let corners: [Double]
  }

  /// As the file tells it; nil where it does not.
  let size: (width: Double, height: Double)?
  let objects: [Object]

  private static let mostBytes = 1 << 24

  /// - Throws: `Failure` 66 where there is no file; 65 where it is no such annotation.
  init(path: String) throws {
    guard let root = MarkupElement(try readFile(path, most: Self.mostBytes)), root.name == "annotation" else {
      throw Failure.badData("\(path): is no XML of boxes; expected PASCAL VOC's <annotation>")
    }
    let numbers = ["width", "height"].map { root["size"]?.number($0) ?? 0 }
    // Programs that do not know it write 0.
    size = numbers[0] > 0 && numbers[1] > 0 ? (numbers[0], numbers[1]) : nil
    objects = root.children.filter { $0.name == "object" }.map { object in
      Object(
        label: object["name"]?.text,
        corners: ["xmin", "ymin", "xmax", "ymax"].map { object["bndbox"]?.number($0) ?? .nan })
    }
  }

  /// Whether a file looks like one, as far as its beginning tells.
  static func isThere(_ path: String) -> Bool {
    String(decoding: (try? readBeginning(of: path, count: 1024)) ?? [], as: UTF8.self).contains("<annotation")
  }
}

/// An element of XML with its own text. Attributes, comments and declarations are passed over: boxes have none that tell.
private struct MarkupElement {
  let name: String
  private(set) var text = ""
  private(set) var children: [MarkupElement] = []

  private static let mostDepth = 64

  /// The first child of a name.
  subscript(name: String) -> MarkupElement? { children.first { $0.name == name } }

  /// A child's number; nil where there is none.
  func number(_ name: String) -> Double? { self[name].flatMap { Double($0.text) } }

  private init(name: String) { self.name = name }

  /// The root of a file; nil where its tags do not fit, or go too deep.
  init?(_ bytes: [UInt8]) {
    var open: [MarkupElement] = []
    var rest = bytes[...]
    while let start = rest.firstIndex(of: UInt8(ascii: "<")) {
      if !open.isEmpty { open[open.count - 1].text += Self.decoded(rest[..<start]) }
      rest = rest[start...]
      let ending = rest.starts(with: "<!--".utf8) ? "-->" : rest.starts(with: "<?".utf8) ? "?>" : ">"
      guard let end = Self.end(of: ending, in: rest) else { return nil }
      let tag = rest[(start + 1)..<(end - ending.utf8.count)]
      rest = rest[end...]
      switch tag.first {
      case UInt8(ascii: "!"), UInt8(ascii: "?"): continue
      case UInt8(ascii: "/"):
        guard var closed = open.popLast(), Self.name(tag.dropFirst()) == closed.name else { return nil }
        closed.text = closed.text.trimmingCharacters(in: .whitespacesAndNewlines)
        if open.isEmpty {
          self = closed
          return
        }
        open[open.count - 1].children.append(closed)
      default:
        let element = MarkupElement(name: Self.name(tag))
        guard open.count < Self.mostDepth else { return nil }
        if tag.last != UInt8(ascii: "/") {
          open.append(element)
        } else if !open.isEmpty {
          open[open.count - 1].children.append(element)
        }
      }
    }
    return nil
  }

  /// Where what ends with some text is over.
  private static func end(of text: String, in bytes: ArraySlice<UInt8>) -> Int? {
    let text = Array(text.utf8)
    var place = bytes.startIndex
    while let found = bytes[place...].firstIndex(of: text[0]) {
      if bytes[found...].starts(with: text) { return found + text.count }
      place = found + 1
    }
    return nil
  }

  private static func name(_ tag: ArraySlice<UInt8>) -> String {
    String(decoding: tag.prefix { $0 > UInt8(ascii: " ") && $0 != UInt8(ascii: "/") }, as: UTF8.self)
  }

  private static func decoded(_ bytes: ArraySlice<UInt8>) -> String {
    let text = String(decoding: bytes, as: UTF8.self)
    let entities = [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&apos;", "'"), ("&amp;", "&")]
    return text.contains("&") ? entities.reduce(text) { $0.replacing($1.0, with: $1.1) } : text
  }
}
