import Images

/// Masks that would count as empty: none of their levels lies above `data.mask_threshold`, though not all are 0, as in
/// masks of the numbers of classes.
enum DarkMasks {
  /// Masks of a set are made in one way, and decoding all of them would take longer than the rest of an import.
  private static let looked = 32

  /// What to say of some masks; nil where nothing.
  ///
  /// - Parameter paths: all of a set, of which some are decoded.
  static func warning(_ paths: [String]) -> String? {
    let step = max(1, paths.count / looked)
    let sample = stride(from: 0, to: paths.count, by: step).prefix(looked).map { paths[$0] }
    let dark = sample.compactMap { path in levels(path).map { (path: path, levels: $0) } }
    guard let first = dark.first else { return nil }
    let shown = 8
    let list =
      first.levels.prefix(shown).map(String.init).joined(separator: ", ") + (first.levels.count > shown ? ", …" : "")
    return "\(dark.count) of the \(sample.count) masks that were decoded have no level above \(standardMaskThreshold), "
      + "and count as empty, \(first.path) the first, with levels \(list); set data.mask_threshold: 0 in every run if every "
      + "level above 0 is foreground"
  }

  /// Of a mask none of whose levels lies above the threshold though not all are 0; nil of any other.
  private static func levels(_ path: String) -> [UInt8]? {
    guard let mask = try? decodeMask(path: path, threshold: standardMaskThreshold) else { return nil }
    let levels = Set(mask.pixels).sorted()
    return levels != [0] && levels.allSatisfy { Int($0) <= standardMaskThreshold } ? levels : nil
  }
}
