import CCairo
import Failures
import Images

/// A drawing that is made once and given out as pixels or as SVG: cairo's recording, behind the few operations that
/// charts and figures need. Units are pixels at scale 1; y grows downwards.

/// sRGB, each component and the opacity in [0, 1].
public struct Colour: Equatable, Sendable {
  public var red: Double
  public var green: Double
  public var blue: Double
  public var opacity: Double

  public init(_ red: Double, _ green: Double, _ blue: Double, opacity: Double = 1) {
    (self.red, self.green, self.blue, self.opacity) = (red, green, blue, opacity)
  }

  /// 0xRRGGBB.
  public init(hex: UInt32, opacity: Double = 1) {
    func part(_ shift: UInt32) -> Double { Double(hex >> shift & 0xFF) / 255 }
    self.init(part(16), part(8), part(0), opacity: opacity)
  }

  public func withOpacity(_ opacity: Double) -> Colour { Colour(red, green, blue, opacity: opacity) }

  public static let black = Colour(hex: 0x1A1A1A)
  public static let grey = Colour(hex: 0x666666)
  public static let lightGrey = Colour(hex: 0xDDDDDD)
  public static let white = Colour(1, 1, 1)
}

public struct Point: Equatable, Sendable {
  public var x: Double
  public var y: Double

  public init(_ x: Double, _ y: Double) { (self.x, self.y) = (x, y) }
}

public final class Canvas {
  public enum Anchor: Sendable {
    case start
    case middle
    case end
  }

  public let width: Double
  public let height: Double
  private let surface: OpaquePointer
  private let context: OpaquePointer
  /// cairo reads an image's pixels when it replays the drawing.
  private var imageMemory: [UnsafeMutableRawBufferPointer] = []

  /// White; sizes are rounded up to whole units.
  public init(width: Double, height: Double) throws {
    let (width, height) = (width.rounded(.up), height.rounded(.up))
    self.width = width
    self.height = height
    var extents = cairo_rectangle_t(x: 0, y: 0, width: width, height: height)
    guard let surface = cairo_recording_surface_create(CAIRO_CONTENT_COLOR_ALPHA, &extents),
      let context = cairo_create(surface), cairo_status(context) == CAIRO_STATUS_SUCCESS
    else { throw Failure.internalError("cairo cannot make a drawing of \(width) x \(height)") }
    self.surface = surface
    self.context = context
    rectangle(0, 0, width, height, fill: .white)
  }

  deinit {
    cairo_destroy(context)
    // cairo keeps a reference to a drawing that it has written as SVG: what is finished has given its memory back.
    cairo_surface_finish(surface)
    cairo_surface_destroy(surface)
    imageMemory.forEach { $0.deallocate() }
  }

  // MARK: Drawing

  public func polyline(_ points: [Point], _ colour: Colour, width: Double = 1.5, dash: [Double] = []) {
    guard points.count > 1 else { return }
    trace(points)
    set(colour)
    cairo_set_line_width(context, width)
    cairo_set_line_join(context, CAIRO_LINE_JOIN_ROUND)
    cairo_set_dash(context, dash, Int32(dash.count), 0)
    cairo_stroke(context)
  }

  public func polygon(_ points: [Point], fill: Colour) {
    guard points.count > 2 else { return }
    trace(points)
    cairo_close_path(context)
    set(fill)
    cairo_fill(context)
  }

  public func rectangle(_ x: Double, _ y: Double, _ width: Double, _ height: Double, fill: Colour) {
    cairo_rectangle(context, x, y, width, height)
    set(fill)
    cairo_fill(context)
  }

  public func dot(_ centre: Point, radius: Double, fill: Colour) {
    cairo_arc(context, centre.x, centre.y, radius, 0, 2 * Double.pi)
    set(fill)
    cairo_fill(context)
  }

  /// - Parameters:
  ///   - at: the baseline's start, middle or end.
  ///   - isUpward: turned by 90° to read from the bottom up.
  public func text(
    _ text: String, at: Point, size: Double = 11, _ colour: Colour = .black, anchor: Anchor = .start,
    isBold: Bool = false, isUpward: Bool = false
  ) {
    cairo_save(context)
    cairo_translate(context, at.x, at.y)
    if isUpward { cairo_rotate(context, -Double.pi / 2) }
    let length = textWidth(text, size: size, isBold: isBold)
    let offset = anchor == .start ? 0 : anchor == .middle ? -length / 2 : -length
    cairo_move_to(context, offset, 0)
    set(colour)
    cairo_show_text(context, text)
    cairo_restore(context)
  }

  /// Characters that no font here has a sign for, each once: a drawing shows an empty box in their place.
  public static func charactersWithoutSign(in texts: [String]) throws -> [Character] {
    let canvas = try Canvas(width: 1, height: 1)
    var found: [Character] = []
    for text in texts {
      let missing = FontChoice(context: canvas.context).select(for: text, size: 11, isBold: false)
      for scalar in missing where !found.contains(Character(scalar)) { found.append(Character(scalar)) }
    }
    return found
  }

  public func textWidth(_ text: String, size: Double, isBold: Bool = false) -> Double {
    FontChoice(context: context).select(for: text, size: size, isBold: isBold)
    var extents = cairo_text_extents_t()
    cairo_text_extents(context, text, &extents)
    return extents.x_advance
  }

  /// Draws an image into a rectangle.
  public func image(_ image: RGBImage, x: Double, y: Double, width: Double, height: Double) {
    let stride = Int(cairo_format_stride_for_width(CAIRO_FORMAT_RGB24, Int32(image.width)))
    let memory = UnsafeMutableRawBufferPointer.allocate(byteCount: stride * image.height, alignment: 16)
    imageMemory.append(memory)
    for row in 0..<image.height {
      for column in 0..<image.width {
        let source = (row * image.width + column) * 3
        let (r, g, b) = (
          UInt32(image.pixels[source]), UInt32(image.pixels[source + 1]), UInt32(image.pixels[source + 2])
        )
        memory.storeBytes(of: r << 16 | g << 8 | b, toByteOffset: row * stride + column * 4, as: UInt32.self)
      }
    }
    let source = cairo_image_surface_create_for_data(
      memory.bindMemory(to: UInt8.self).baseAddress, CAIRO_FORMAT_RGB24, Int32(image.width), Int32(image.height),
      Int32(stride))
    defer { cairo_surface_destroy(source) }
    cairo_save(context)
    cairo_translate(context, x, y)
    cairo_scale(context, width / Double(image.width), height / Double(image.height))
    cairo_set_source_surface(context, source, 0, 0)
    cairo_pattern_set_extend(cairo_get_source(context), CAIRO_EXTEND_PAD)
    cairo_rectangle(context, 0, 0, Double(image.width), Double(image.height))
    cairo_fill(context)
    cairo_restore(context)
  }

  private func trace(_ points: [Point]) {
    cairo_new_path(context)
    for point in points { cairo_line_to(context, point.x, point.y) }
  }

  private func set(_ colour: Colour) {
    cairo_set_source_rgba(context, colour.red, colour.green, colour.blue, colour.opacity)
  }

  // MARK: Output

  /// The drawing's pixels.
  ///
  /// - Parameter scale: pixels to a unit.
  public func pixels(scale: Double = 2) throws -> RGBImage {
    let (columns, rows) = (Int((width * scale).rounded()), Int((height * scale).rounded()))
    let target = cairo_image_surface_create(CAIRO_FORMAT_RGB24, Int32(columns), Int32(rows))
    defer { cairo_surface_destroy(target) }
    try replay(onto: target, scale: scale)
    cairo_surface_flush(target)
    guard let data = cairo_image_surface_get_data(target) else { throw Failure.internalError("cairo gives no pixels") }
    let stride = Int(cairo_image_surface_get_stride(target))
    var pixels = [UInt8](repeating: 0, count: columns * rows * 3)
    for row in 0..<rows {
      for column in 0..<columns {
        let word = UnsafeRawPointer(data).loadUnaligned(fromByteOffset: row * stride + column * 4, as: UInt32.self)
        let place = (row * columns + column) * 3
        pixels[place] = UInt8(truncatingIfNeeded: word >> 16)
        pixels[place + 1] = UInt8(truncatingIfNeeded: word >> 8)
        pixels[place + 2] = UInt8(truncatingIfNeeded: word)
      }
    }
    return RGBImage(width: columns, height: rows, pixels: pixels)
  }

  /// The drawing as an SVG document; text becomes outlines, so that it needs no font.
  public func svg() throws -> String {
    final class Sink { var bytes: [UInt8] = [] }
    let sink = Sink()
    let target = cairo_svg_surface_create_for_stream(
      { closure, data, count in
        if let closure, let data {
          Unmanaged<Sink>.fromOpaque(closure).takeUnretainedValue().bytes += UnsafeBufferPointer(
            start: data, count: Int(count))
        }
        return CAIRO_STATUS_SUCCESS
      }, Unmanaged.passUnretained(sink).toOpaque(), width, height)
    try replay(onto: target, scale: 1)
    cairo_surface_finish(target)
    cairo_surface_destroy(target)
    return Self.renumbered(String(decoding: sink.bytes, as: UTF8.self))
  }

  /// cairo numbers its surfaces over all drawings of a process; equal drawings get equal documents.
  private static func renumbered(_ document: String) -> String {
    var numbers: [Substring: Int] = [:]
    return document.replacing(/surface([0-9]+)/) { match in
      numbers[match.1] = numbers[match.1] ?? numbers.count
      return "surface\(numbers[match.1] ?? 0)"
    }
  }

  private func replay(onto target: OpaquePointer?, scale: Double) throws {
    let context = cairo_create(target)
    defer { cairo_destroy(context) }
    cairo_scale(context, scale, scale)
    cairo_set_source_surface(context, surface, 0, 0)
    cairo_paint(context)
    guard cairo_status(context) == CAIRO_STATUS_SUCCESS else {
      throw Failure.internalError("cairo: \(String(cString: cairo_status_to_string(cairo_status(context))))")
    }
  }
}
