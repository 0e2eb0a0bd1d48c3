import CCairo

/// Which font a text is set in: cairo's own choice of one looks for no second one where that lacks a character.
struct FontChoice {
  /// cairo's.
  let context: OpaquePointer

  /// The first has what our own words need, the others what names of people's classes may hold. What is not there is some
  /// other font.
  private static let families = [
    "DejaVu Sans", "Noto Sans CJK JP", "Noto Sans CJK SC", "Droid Sans Fallback", "WenQuanYi Zen Hei", "IPAGothic",
    "Noto Sans", "Unifont",
  ]

  /// Selects the font that lacks the fewest of a text's characters, the first of several.
  ///
  /// - Returns: those that it lacks.
  @discardableResult func select(for text: String, size: Double, isBold: Bool) -> [Unicode.Scalar] {
    func select(_ family: String) {
      cairo_select_font_face(
        context, family, CAIRO_FONT_SLANT_NORMAL, isBold ? CAIRO_FONT_WEIGHT_BOLD : CAIRO_FONT_WEIGHT_NORMAL)
      cairo_set_font_size(context, size)
    }
    select(Self.families[0])
    guard !text.utf8.allSatisfy({ $0 < 0x80 }) else { return [] }
    var best = (family: Self.families[0], missing: missing(of: text))
    for family in Self.families.dropFirst() where !best.missing.isEmpty {
      select(family)
      let missing = missing(of: text)
      if missing.count < best.missing.count { best = (family, missing) }
    }
    select(best.family)
    return best.missing
  }

  /// Characters of a text that the selected font has no sign for.
  private func missing(of text: String) -> [Unicode.Scalar] {
    let font = cairo_get_scaled_font(context)
    return text.unicodeScalars.filter { scalar in
      let properties = scalar.properties
      // They are signs to what draws, not to who reads.
      guard !properties.isVariationSelector, ![.format, .control].contains(properties.generalCategory) else {
        return false
      }
      var glyphs: UnsafeMutablePointer<cairo_glyph_t>?
      var count: Int32 = 0
      let status = cairo_scaled_font_text_to_glyphs(font, 0, 0, String(scalar), -1, &glyphs, &count, nil, nil, nil)
      guard status == CAIRO_STATUS_SUCCESS, let glyphs else { return false }
      defer { cairo_glyph_free(glyphs) }
      return (0..<Int(count)).contains { glyphs[$0].index == 0 }
    }
  }
}
