import Foundation
import Tensor

/// The largest differences from independent references, which `scripts/fidelity` gathers into docs/fidelity.md.

/// Notes a difference where the environment names a file for it (`ALA_FIDELITY`).
///
/// - Parameters:
///   - quantity: what is compared, in the words of the table.
///   - reference: what it is compared with.
///   - unit: what the difference is a share of, or its unit.
///   - limit: what the test demands.
///   - library: what has made the products, where there are any.
public func noteDifference(
  _ quantity: String, reference: String, unit: String = "of its scale", _ difference: Double, limit: Double,
  library: ProductLibrary = .current
) {
  guard let path = ProcessInfo.processInfo.environment["ALA_FIDELITY"] else { return }
  let line = "\(quantity)\t\(reference)\t\(unit)\t\(difference)\t\(limit)\t\(library.rawValue)\n"
  let descriptor = open(path, O_WRONLY | O_CREAT | O_APPEND, 0o644)
  guard descriptor >= 0 else { return }
  _ = line.utf8.withContiguousStorageIfAvailable { write(descriptor, $0.baseAddress, $0.count) }
  close(descriptor)
}
