import Files
import Foundation

/// Amounts in words.
public enum Quantity {
  public static func words(seconds: Double) -> String {
    seconds < 9.95
      ? String(format: "%.1f s", max(seconds, 0.1))
      : seconds < 90
        ? String(format: "%.0f s", seconds)
        : seconds < 5400 ? String(format: "%.0f min", seconds / 60) : String(format: "%.1f h", seconds / 3600)
  }

  public static func words(bytes: Int) -> String {
    bytes < 1 << 20
      ? String(format: "%.0f KiB", Double(bytes) / 1024)
      : bytes < 1 << 30
        ? String(format: "%.1f MiB", Double(bytes) / Double(1 << 20))
        : String(format: "%.1f GiB", Double(bytes) / Double(1 << 30))
  }
}

/// What the file system of a folder has left, in bytes; the folder, or some above it, need not be there yet.
public func freeBytes(near folder: String) -> Int? {
  var place = folder
  while true {
    let attributes = try? FileManager.default.attributesOfFileSystem(forPath: place.isEmpty ? "." : place)
    if let free = (attributes?[.systemFreeSize] as? NSNumber)?.intValue { return free }
    guard !place.isEmpty, place != "/" else { return nil }
    place = parentFolder(of: place)
  }
}
