import Dataset
import Experiments
import Metrics

/// What to say of masks that are used but can hardly be meant so; the same text for the same images.
public func maskWarnings(_ records: [ImageRecord], _ experiment: Experiment) -> [String] {
  var warnings = named(records.compactMap(\.maskProblem))
  let dark = records.filter { $0.darkMaskLevels != nil }
  if let first = dark.first, let levels = first.darkMaskLevels, let image = experiment.dataset.image(first.imageID),
    case .file(let path) = experiment.dataset.mask(of: image)
  {
    let masks = records.count { $0.maskState == .used || $0.maskState == .empty }
    let shown = 8
    let list = levels.prefix(shown).map(String.init).joined(separator: ", ") + (levels.count > shown ? ", …" : "")
    warnings.append(
      "\(dark.count) of \(masks) masks have no level above data.mask_threshold "
        + "(\(experiment.configuration.data.maskThreshold)) and count as empty, \(path) the first, with levels \(list); "
        + "set data.mask_threshold: 0 if every level above 0 is foreground")
  }
  return warnings
}

/// The first of many lines, and how many more there are.
func named(_ lines: [String]) -> [String] {
  let most = 10
  return lines.prefix(most) + (lines.count > most ? ["… and \(lines.count - most) more"] : [])
}
