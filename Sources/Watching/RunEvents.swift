import Files
import Foundation
import Reporting
import TensorBoard

/// What a run's TensorBoard files tell beside its metrics: when each step was made, and the newest maps of the validation
/// images.
struct RunEvents {
  struct Picture {
    let imageID: String
    let step: Int
    let png: Data
  }

  private let folder: String
  private var files: [String: TailedFile] = [:]
  private var broken: Set<String> = []
  /// Seconds since 1970 by step.
  private(set) var times: [Int: Double] = [:]
  private var newest: [String: Picture] = [:]

  /// Of the tags of maps, before the image's id.
  private static let tag = "maps/"

  /// - Parameter folder: a run's `tensorboard/`.
  init(_ folder: String) { self.folder = folder }

  /// The images in the order of their ids.
  var pictures: [Picture] {
    newest.values.sorted { ($0.imageID.count, $0.imageID) < ($1.imageID.count, $1.imageID) }
  }

  /// Reads what is new. A run that goes on begins a file beside the earlier ones, whose names begin with their time.
  mutating func look() {
    let names = ((try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []).filter {
      $0.hasPrefix("events.out.tfevents.") && !broken.contains($0)
    }
    // A run that has begun anew has taken the earlier files away.
    if !files.keys.allSatisfy({ names.contains($0) || broken.contains($0) }) {
      (files, times, newest) = ([:], [:], [:])
    }
    for name in names.sorted() {
      var file = files[name] ?? TailedFile("\(folder)/\(name)")
      file.read(
        begin: {},
        take: { bytes in
          let found = EventReader.events(in: bytes)
          guard let events = found.events else {
            broken.insert(name)
            return bytes.count
          }
          for event in events { add(event) }
          return found.count
        })
      files[name] = file
    }
  }

  private mutating func add(_ event: EventReader.Event) {
    guard RunFolder.stepNumbers.contains(event.step) else { return }
    if event.step > 0, event.pictures.isEmpty { times[event.step] = event.time }
    for (tag, png) in event.pictures where tag.hasPrefix(Self.tag) {
      let id = String(tag.dropFirst(Self.tag.count))
      newest[id] = Picture(imageID: id, step: event.step, png: png)
    }
  }
}
